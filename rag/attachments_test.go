package rag_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/openaitest"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/rag"
)

// file stores a file of the user's with this text.
func (l *library) file(user uuid.UUID, name, text string) uuid.UUID {
	l.t.Helper()
	f, _, err := l.db.AddFile(l.t.Context(), postgres.NewFile{
		UserID: user,
		Received: voiceassist.Received{
			Filename: name, MediaType: voiceassist.MediaText, SHA256: strings.Repeat("0", 64), Size: 1, BlobKey: uuid.NewString(),
		},
		Text: voiceassist.FileText{Status: voiceassist.TextExtracted, Text: text},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return f.ID
}

const labReport = "Lab report of today. The patient takes aspirin after a stroke [1]. Creatinine is 2.1 mg/dl. Haemoglobin is normal."

func askWith(t *testing.T, s *rag.Service, q voiceassist.Question) voiceassist.Message {
	t.Helper()
	m, err := collect(t, s.Ask(t.Context(), q))
	if err != nil {
		t.Fatalf("Ask(%q): %v", q.Content, err)
	}
	return m
}

func TestAttachmentsReachTheModelAndAreNeverCited(t *testing.T) {
	t.Parallel()
	l, user := clinic(t)
	s, model := written(t, l, func(openaitest.Chat) openaitest.Reply {
		return openaitest.Say("Creatinine is 2.1 mg/dl [1]. Aspirin lowered the risk of a second stroke by 12% [1].")
	})
	file := l.file(user, "labs.txt", labReport)
	m := askWith(t, s, voiceassist.Question{UserID: user, Content: "Does aspirin prevent stroke?", Attachments: []uuid.UUID{file}})
	l.checkQuotes(m)
	if want := "Creatinine is 2.1 mg/dl. Aspirin lowered the risk of a second stroke by 12% [1]."; m.Content != want || len(m.Citations) != 1 {
		t.Errorf("the answer is %q with %d citations", m.Content, len(m.Citations))
	}
	asked := model.Chats()[0].Last()
	if !strings.Contains(asked, "<attachment>\nlabs.txt\nLab report of today.") || strings.Index(asked, "labs.txt") < strings.Index(asked, "</source>") {
		t.Errorf("the model was asked %q", asked)
	}

	// A follow-up sees it too, until it is deleted.
	follow := voiceassist.Question{UserID: user, ConversationID: m.ConversationID, Content: "What dose of aspirin did stroke patients take?"}
	askWith(t, s, follow)
	if _, err := l.db.HideFile(t.Context(), user, file); err != nil {
		t.Fatal(err)
	}
	askWith(t, s, follow)
	chats := model.Chats()
	if !strings.Contains(chats[1].Last(), "Creatinine is 2.1") || strings.Contains(chats[2].Last(), "Creatinine is 2.1") {
		t.Errorf("the follow-ups were asked with %q and %q", chats[1].Last(), chats[2].Last())
	}
}

func TestQuestionAboutAnAttachmentAloneIsAnsweredWithoutCitations(t *testing.T) {
	t.Parallel()
	l, user := clinic(t)
	s, model := written(t, l, func(openaitest.Chat) openaitest.Reply { return openaitest.Say("Creatinine is 2.1 mg/dl [1].") })
	m := askWith(t, s, voiceassist.Question{UserID: user, Content: "Summarise the creatinine, please", Attachments: []uuid.UUID{l.file(user, "labs.txt", labReport)}})
	if !strings.HasPrefix(m.Content, "Creatinine is 2.1 mg/dl.\n\nNote: no statement") || len(m.Citations) != 0 {
		t.Errorf("the answer is %q with %d citations", m.Content, len(m.Citations))
	}
	if asked := model.Chats()[0].Last(); !strings.Contains(asked, "Sources: none") || !strings.Contains(asked, "Creatinine is 2.1") {
		t.Errorf("the model was asked %q", asked)
	}
}

func TestLongAttachmentsAreCutToWhatTheQuestionIsAbout(t *testing.T) {
	t.Parallel()
	l, user := clinic(t)
	s, model := written(t, l, func(openaitest.Chat) openaitest.Reply { return openaitest.Say("Yes.") })
	long := strings.Repeat("Nothing of note was seen on this day either. ", 2000) + "Aspirin was stopped in May. " + strings.Repeat("The family visited. ", 2000)
	q := voiceassist.Question{UserID: user, Content: "Does aspirin prevent stroke?"}
	for _, name := range []string{"one.txt", "two.txt"} {
		q.Attachments = append(q.Attachments, l.file(user, name, long))
	}
	askWith(t, s, q)
	asked := model.Chats()[0].Last()
	if strings.Count(asked, "[…] Aspirin was stopped in May.") != 2 {
		t.Errorf("the prompt lacks the sentence that the question is about")
	}
	if n := voiceassist.CountTokens(asked); n > 3000 {
		t.Errorf("the prompt has %d tokens", n)
	}
}

func TestExtractiveAnswerQuotesAttachmentsApart(t *testing.T) {
	t.Parallel()
	l, user := clinic(t)
	s := rag.New(l.db, l.index, rag.Options{})
	file := l.file(user, "labs [2].txt", labReport)
	m := askWith(t, s, voiceassist.Question{UserID: user, Content: "Does aspirin prevent stroke?", Attachments: []uuid.UUID{file}})
	l.checkQuotes(m)
	apart := "\n\nFrom your attachments, which are no part of the library:\n" +
		"The patient takes aspirin after a stroke (1). [attachment: labs (2).txt]"
	if !strings.HasSuffix(m.Content, apart) || !strings.HasPrefix(m.Content, "From the library") || len(m.Citations) == 0 {
		t.Errorf("the answer is %q", m.Content)
	}
	nothing := askWith(t, s, voiceassist.Question{UserID: user, Content: "What is the creatinine?", Attachments: []uuid.UUID{file}})
	if nothing.Content != rag.NothingFound+"\n\nFrom your attachments, which are no part of the library:\nCreatinine is 2.1 mg/dl. [attachment: labs (2).txt]" {
		t.Errorf("the answer is %q", nothing.Content)
	}
}

func TestFilesAndContextsOfOthersStoreNoQuestion(t *testing.T) {
	t.Parallel()
	l, user := clinic(t)
	s := rag.New(l.db, l.index, rag.Options{})
	stranger := l.user()
	facts, err := l.db.SaveClinicalContext(t.Context(), stranger, nil, voiceassist.ClinicalFacts{Age: new(67)})
	if err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]voiceassist.Question{
		"a file of somebody else":    {Attachments: []uuid.UUID{l.file(stranger, "a.txt", "A.")}},
		"no file":                    {Attachments: []uuid.UUID{uuid.New()}},
		"a context of somebody else": {ClinicalContextID: facts.ID},
	} {
		q.UserID, q.Content = user, "Does aspirin prevent stroke?"
		if _, err := s.Begin(t.Context(), q); voiceassist.CodeOf(err) != voiceassist.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, total, err := l.db.Conversations(t.Context(), user, voiceassist.ConversationFilter{Limit: 1}); total != 0 || err != nil {
		t.Errorf("%d conversations were begun, %v", total, err)
	}
}

func TestClinicalFactsReachTheModel(t *testing.T) {
	t.Parallel()
	l, user := clinic(t)
	s, model := written(t, l, func(openaitest.Chat) openaitest.Reply { return openaitest.Say("Yes.") })
	c, err := l.db.SaveClinicalContext(t.Context(), user, nil, voiceassist.ClinicalFacts{
		Age: new(67), WeightKg: new(71.5), Medications: []string{"warfarin", "metformin"},
	})
	if err != nil {
		t.Fatal(err)
	}
	askWith(t, s, voiceassist.Question{UserID: user, Content: "Does aspirin prevent stroke?", ClinicalContextID: c.ID})
	askWith(t, s, voiceassist.Question{UserID: user, Content: "Does aspirin prevent stroke?"})
	chats := model.Chats()
	if want := "<patient>\nAge: 67 years\nWeight: 71.5 kg\nMedications: warfarin; metformin\n</patient>"; !strings.Contains(chats[0].Last(), want) {
		t.Errorf("the model was asked %q", chats[0].Last())
	}
	if strings.Contains(chats[1].Last(), "<patient>") {
		t.Errorf("facts went along unasked: %q", chats[1].Last())
	}
}
