package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"math"
	"time"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

// clientFrame is what a client sends. Its names may be in either casing.
type clientFrame struct {
	Type            string `json:"type"`
	Token           string `json:"token"`
	SessionID       string `json:"session_id"`
	ConversationID  string `json:"conversation_id"`
	BranchID        string `json:"branch_id"`
	Content         string `json:"content"`
	ClientMessageID string `json:"client_message_id"`
	MessageID       string `json:"message_id"`
	LastSeq         int    `json:"last_seq"`

	Attachments       attachmentRefs  `json:"attachments"`
	ClinicalContextID string          `json:"clinical_context_id"`
	ClinicalContext   json.RawMessage `json:"clinical_context"`

	Channels []string `json:"channels"` // of admin panels
}

// parseFrame reads a frame, or is Invalid.
func parseFrame(data []byte) (clientFrame, error) {
	var f clientFrame
	if !json.Valid(data) {
		return f, voiceassist.Errorf(voiceassist.Invalid, "The frame is not JSON")
	}
	if err := unmarshal(data, &f); err != nil {
		return f, &voiceassist.Error{Code: voiceassist.Invalid, Message: "The frame is not an event of this protocol", Err: err}
	}
	return f, nil
}

// handle acts on a frame. Its error goes to the client; the socket stays.
func (k *socket) handle(f clientFrame) error {
	if d, ok := asks[f.Type]; ok {
		k.fix(d)
		return k.ask(f)
	}
	switch f.Type {
	case "ping":
		k.send(frame{"type": "pong", "timestamp": stamp(time.Now())})
		return nil
	case "auth":
		return k.reauthenticate(f)
	case "session.start":
		k.fix(dialectV1)
		return k.startSession(f)
	case "typing_start", "typing_stop":
		return k.relayTyping(f)
	case "resume":
		return k.resume(f)
	case "cancel", "message.cancel", "message_cancel":
		return k.cancelAnswer(f)
	}
	return voiceassist.Errorf(voiceassist.Invalid, "Unknown event type")
}

// fix fixes the dialect, once.
func (k *socket) fix(d dialect) {
	if k.dialect == dialectOpen {
		k.dialect = d
	}
}

// reauthenticate takes a fresh token of the same user.
func (k *socket) reauthenticate(f clientFrame) error {
	who, err := k.ss.s.o.Accounts.Authenticate(k.ctx, f.Token)
	if err != nil || who.User.ID != k.principal().User.ID {
		k.send(errorEvent(socketAuthFailed, "The token is not valid here"))
		return nil //nolint:nilerr // the client has been told
	}
	k.who.Store(&who)
	return nil
}

// startSession begins or continues a conversation for v1's clients.
func (k *socket) startSession(f clientFrame) error {
	ctx, cancel := context.WithTimeout(k.ctx, requestTimeout)
	defer cancel()
	user := k.principal().User.ID
	id, err := k.conversationOf(f)
	if err != nil {
		return err
	}
	facts, err := f.clinicalFacts()
	if err != nil {
		return err
	}
	var c voiceassist.Conversation
	if id == uuid.Nil {
		c, err = k.ss.s.o.Chats.CreateConversation(ctx, user, "", nil)
	} else {
		c, err = k.ss.s.o.Chats.Conversation(ctx, user, id)
	}
	if err != nil {
		return err
	}
	if err := k.setClinical(ctx, facts, c.ID); err != nil {
		return err
	}
	k.converse(c.ID)
	k.send(frame{"type": "session.started", "session_id": c.ID.String()})
	return nil
}

// conversationOf returns the conversation that a frame is about: the one it
// names, else the socket's, else zero.
func (k *socket) conversationOf(f clientFrame) (uuid.UUID, error) {
	name := cmp.Or(f.SessionID, f.ConversationID)
	if name == "" {
		return k.conversation, nil
	}
	return parseID(name, "conversation")
}

// ask takes a question and lets its answer follow.
func (k *socket) ask(f clientFrame) error {
	conversation, err := k.conversationOf(f)
	if err != nil {
		return err
	}
	attachments, err := f.Attachments.files()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(k.acting(), requestTimeout)
	defer cancel()
	clinical, err := k.clinicalOf(ctx, f, conversation)
	if err != nil {
		return err
	}
	question, a, err := k.ss.answers.ask(ctx, voiceassist.Question{
		UserID:          k.principal().User.ID,
		ConversationID:  conversation,
		BranchID:        f.BranchID,
		ClientMessageID: f.ClientMessageID,
		Content:         f.Content,

		Attachments:       attachments,
		ClinicalContextID: clinical,
	})
	if err != nil {
		return err
	}
	k.converse(question.ConversationID)
	if k.dialect == dialectWeb {
		k.send(frame{
			"type": "user_message.created", "messageId": question.ID.String(), "message_id": question.ID.String(),
			"clientMessageId": f.ClientMessageID, "client_message_id": f.ClientMessageID,
			"conversationId": question.ConversationID.String(), "session_id": question.ConversationID.String(),
			"is_duplicate": question.Duplicate, "timestamp": stamp(time.Now()),
		})
	}
	k.follow(a, 0)
	return nil
}

// relayTyping tells the user's other sockets, wherever they are.
func (k *socket) relayTyping(f clientFrame) error {
	conversation := cmp.Or(f.ConversationID, f.SessionID)
	if len(conversation) > maxTypingID {
		return voiceassist.Errorf(voiceassist.Invalid, "conversation_id is not valid")
	}
	k.ss.s.tellTyping(typing{Kind: f.Type, User: k.principal().User.ID, Conversation: conversation}, k)
	return nil
}

// maxTypingID is the longest name of a conversation that is relayed, in bytes.
const maxTypingID = 100

// resume continues an answer after the last event that the client has.
func (k *socket) resume(f clientFrame) error {
	a, err := k.find(f)
	if err != nil {
		return err
	}
	k.follow(a, f.LastSeq)
	return nil
}

// cancelAnswer ends an answer; without an id, all that this socket follows.
func (k *socket) cancelAnswer(f clientFrame) error {
	if f.MessageID == "" {
		for _, id := range k.followed() {
			k.ss.cancelAnswer(k.principal().User.ID, id)
		}
		return nil
	}
	a, err := k.find(f)
	if err != nil {
		return err
	}
	k.ss.cancelAnswer(k.principal().User.ID, a.exchange.Answer.ID)
	k.follow(a, math.MaxInt) // a socket that did not follow it is told how it ended
	return nil
}

// cancelAnswer ends a user's answer, or has the process do it that writes it.
func (ss *sockets) cancelAnswer(user, id uuid.UUID) {
	if a := ss.answers.find(user, id); a != nil {
		a.cancel()
		return
	}
	ss.s.news.tell(topicCancel, cancellation{User: user, Answer: id})
}

// find returns the user's answer that a frame names, live or stored.
func (k *socket) find(f clientFrame) (*answer, error) {
	user := k.principal().User.ID
	id, err := parseID(f.MessageID, "message")
	if err != nil {
		return nil, err
	}
	if a := k.ss.answers.find(user, id); a != nil {
		return a, nil
	}
	ctx, cancel := context.WithTimeout(k.acting(), requestTimeout)
	defer cancel()
	m, err := k.ss.s.o.Chats.UserMessage(ctx, user, id)
	if err != nil {
		return nil, err
	}
	if m.Role != voiceassist.SpeakerAssistant {
		return nil, voiceassist.Errorf(voiceassist.NotFound, "message not found")
	}
	if m.Status == voiceassist.MessageStreaming {
		return k.ss.answers.recall(ctx, user, m, f.LastSeq)
	}
	return ended(user, m, max(0, f.LastSeq)), nil
}

// ended returns an answer of the ledger to a client that has its events up to
// lastSeq: how it ended, and its text to a client that has nothing.
func ended(user uuid.UUID, m voiceassist.Message, lastSeq int) *answer {
	a := &answer{user: user, exchange: voiceassist.Exchange{Answer: m}, cancel: func() {}, changed: make(chan struct{}), skipped: lastSeq}
	if m.Content != "" && lastSeq == 0 {
		a.add(voiceassist.AnswerEvent{Delta: m.Content, Message: m}, nil)
	}
	a.add(voiceassist.AnswerEvent{Final: true, Message: m}, nil)
	return a
}

func (k *socket) followed() []uuid.UUID {
	k.mu.Lock()
	defer k.mu.Unlock()
	ids := make([]uuid.UUID, 0, len(k.following))
	for id := range k.following {
		ids = append(ids, id)
	}
	return ids
}

// follow sends the events of an answer that come after seq, and the last one in
// any case, in the socket's dialect, beside whatever else it does. What it
// follows already it does not follow twice.
func (k *socket) follow(a *answer, seq int) {
	id, d := a.exchange.Answer.ID, k.dialect
	k.mu.Lock()
	known := k.following[id]
	if !known {
		k.following[id] = true
		k.followers++
	}
	k.mu.Unlock()
	if known {
		return
	}
	k.wg.Go(func() {
		defer k.unfollow()
		for event, err := range a.follow(k.ctx) {
			if event.Final {
				k.forget(id)
			}
			for _, f := range d.render(event, err) {
				n, _ := f["seq"].(int)
				if (n > seq || f["final"] == true) && !k.send(f) {
					return
				}
			}
		}
	})
}

// forget lets an answer be followed anew. It comes before the last frame: a
// client that has read that one and asks again must not be taken for one that
// still waits for it.
func (k *socket) forget(id uuid.UUID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.following, id)
}

// unfollow ends a follower, and a socket that has only waited for it.
func (k *socket) unfollow() {
	k.mu.Lock()
	k.followers--
	leaving := k.leaving
	k.mu.Unlock()
	if leaving {
		k.leave()
	}
}
