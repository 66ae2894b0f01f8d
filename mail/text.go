package mail

import (
	"errors"
	"fmt"
	"time"

	gomail "github.com/wneessen/go-mail"

	voiceassist "github.com/voiceassist/backend"
)

// wording is what a kind of mail says. The body takes the life of the link and
// the link; that of a notice comes with it.
type wording struct{ subject, body string }

var wordings = map[voiceassist.MailKind]wording{
	voiceassist.MailReset: {"Choose a new VoiceAssist password", `Somebody, probably you, has asked for a new password for your VoiceAssist
account. Open this link within %s to choose one; it works once.

%s

If it was not you, do nothing: your password stays as it is.
`},
	voiceassist.MailInvitation: {"Your invitation to VoiceAssist", `You have been invited to VoiceAssist. Open this link within %s to choose a
password and make your account; it works once.

%s

If you did not expect this, do nothing.
`},
	voiceassist.MailBatchEnded: {subject: "A VoiceAssist batch has ended"},
}

// compose writes a mail.
func (s *Sender) compose(m voiceassist.Mail) (*gomail.Msg, error) {
	words, ok := wordings[m.Kind]
	if !ok {
		return nil, fmt.Errorf("there are no words for a mail of kind %q", m.Kind)
	}
	msg := gomail.NewMsg()
	msg.FromMailAddress(s.from)
	if err := msg.To(m.To); err != nil {
		return nil, errors.New("the recipient's address is not one") // which the library's error repeats
	}
	msg.Subject(words.subject)
	msg.SetDate()
	msg.SetMessageID()
	text := m.Text
	if text == "" {
		text = fmt.Sprintf(words.body, life(m.TTL), m.Link)
	}
	msg.SetBodyString(gomail.TypeTextPlain, text)
	return msg, nil
}

// life says how long a link is good, in words.
func life(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day {
		return fmt.Sprintf("%d days", d/day)
	}
	if d > time.Hour {
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return "an hour"
}
