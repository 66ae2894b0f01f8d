package httpapi

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	voiceassist "github.com/voiceassist/backend"
)

// Speech is not recognised or made yet. The routes check what they are sent as
// they will have to, say what to set, and keep nothing of it.

// Bounds of spoken input.
const (
	maxAudioBytes      = 25 << 20 // of a sound file
	maxTranscribeBytes = 8 << 20  // of a request that carries one as base64
)

// noSpeech is why there is no recognition, noVoice why there is no output.
const (
	noSpeech = "Speech recognition is not configured: set SPEECH_MODEL, and OPENAI_BASE_URL or OPENAI_API_KEY of the service that has it"
	noVoice  = "Speech output is not configured: set VOICE_MODEL, and OPENAI_BASE_URL or OPENAI_API_KEY of the service that has it"
)

// refuseVoice notes that somebody wanted to use speech, and is Unavailable.
func (s *Server) refuseVoice(ctx context.Context, what, why string) error {
	return errors.Join(&voiceassist.Error{Code: voiceassist.Unavailable, Message: why}, s.o.Auditor.Audit(ctx, voiceassist.AuditEntry{
		Action: "voice.refused", ResourceType: "voice", ResourceID: what, Failed: true, Details: map[string]any{"reason": "not configured"},
	}))
}

type voiceSessionInput struct {
	Body *struct {
		ConversationID string `json:"conversation_id,omitempty"`
		Language       string `json:"language,omitempty" example:"en-GB" doc:"BCP 47, or auto"`
		Mode           string `json:"mode,omitempty" maxLength:"64"`
		AutoSend       bool   `json:"auto_send,omitempty" doc:"ask what was understood at once"`
	}
}

// voiceSessionBody is a session in which audio is sent.
type voiceSessionBody struct {
	SessionID      string          `json:"session_id"`
	ID             string          `json:"id"`
	ConversationID *string         `json:"conversation_id"`
	ExpiresAt      string          `json:"expires_at" format:"date-time"`
	Limits         voiceLimitsBody `json:"limits"`
	Formats        []string        `json:"formats" doc:"media types that are understood"`
	WSURL          string          `json:"ws_url"`
}

type voiceLimitsBody struct {
	MaxBytes   int64 `json:"max_bytes"`
	MaxSeconds int   `json:"max_seconds"`
}

func (s *Server) startVoice(ctx context.Context, in *voiceSessionInput) (twins[voiceSessionBody], error) {
	var none twins[voiceSessionBody]
	if b := in.Body; b != nil {
		if err := checkLanguage(b.Language); err != nil {
			return none, err
		}
		if err := s.checkConversation(ctx, b.ConversationID); err != nil {
			return none, err
		}
	}
	return none, s.refuseVoice(ctx, "session", noSpeech)
}

// checkConversation is nil if id is "" or a conversation of the caller's.
func (s *Server) checkConversation(ctx context.Context, text string) error {
	if text == "" {
		return nil
	}
	id, err := parseID(text, "conversation")
	if err != nil {
		return err
	}
	_, err = s.o.Chats.Conversation(ctx, principal(ctx).User.ID, id)
	return err
}

var languageTag = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$`)

func checkLanguage(tag string) error {
	if tag == "" || tag == "auto" || languageTag.MatchString(tag) {
		return nil
	}
	return voiceassist.FieldError("language", "language must be a tag like en or en-GB, or auto")
}

// audioForm are the fields of an upload of audio.
var audioForm = []formField{
	{name: "file", doc: "WAV, MP3, MP4, AAC, Ogg, WebM or FLAC, at most 25 MB; may be called audio", file: true, required: true},
	{name: "session_id", doc: "the conversation it belongs to"},
	{name: "language", doc: "BCP 47, or auto"},
}

// audioQuery says how long the client waits for what was said.
var audioQuery = []formField{{
	name: "wait", doc: "seconds to wait for the transcript", schema: object{"type": "integer", "minimum": 0, "maximum": 60},
}}

// transcriptBody is what was said in a recording, or how far it has been
// understood.
type transcriptBody struct {
	ID         string        `json:"id"`
	JobID      *string       `json:"job_id"`
	SessionID  *string       `json:"session_id"`
	Status     string        `json:"status" enum:"pending,running,completed,failed"`
	Text       string        `json:"text"`
	Transcript string        `json:"transcript"`
	Language   string        `json:"language"`
	Duration   float64       `json:"duration" doc:"seconds"`
	Segments   []segmentBody `json:"segments"`
	MessageID  *string       `json:"message_id"`
}

type segmentBody struct {
	Start float64 `json:"start" doc:"seconds"`
	End   float64 `json:"end"`
	Text  string  `json:"text"`
}

// sendAudio takes a recording in.
func (s *Server) sendAudio(c *fiber.Ctx) error {
	body, err := s.receiveAudio(c)
	if err != nil {
		return err
	}
	return reply(c.Context(), requestOf(c.Context()), http.StatusAccepted, both(body))
}

func (s *Server) receiveAudio(c *fiber.Ctx) (transcriptBody, error) {
	if c.Context().QueryArgs().Has("wait") && !isSmallNumber(c.Query("wait")) {
		return transcriptBody{}, queryError("wait", "must be seconds, 0 to 60")
	}
	form, body, err := openForm(c, maxAudioBytes)
	if err != nil {
		return transcriptBody{}, err
	}
	leave, err := s.uploads.enter(c.UserContext())
	if err != nil {
		return transcriptBody{}, err
	}
	defer leave()
	var in recording
	if err := in.readForm(form); err != nil {
		return transcriptBody{}, body.blame(err)
	}
	if err := body.checkEnd(); err != nil {
		return transcriptBody{}, body.blame(err)
	}
	if !in.received {
		return transcriptBody{}, missingFile()
	}
	if err := checkSound(in.head, in.size); err != nil {
		return transcriptBody{}, err
	}
	return transcriptBody{}, s.refuseVoice(c.UserContext(), "audio", noSpeech)
}

// isSmallNumber reports whether s is a whole number from 0 to 60.
func isSmallNumber(s string) bool {
	return len(s) == 1 && s[0] >= '0' && s[0] <= '9' || len(s) == 2 && s[0] >= '0' && s[0] <= '5' && s[1] >= '0' && s[1] <= '9' || s == "60"
}

// recording is an upload of audio: what is needed to judge it, not its sound.
type recording struct {
	received bool
	head     []byte
	size     int64
}

// soundHead is how much of a file tells its type.
const soundHead = 64

func (r *recording) readForm(form *multipart.Reader) error {
	for {
		part, err := form.NextPart()
		if err == io.EOF { // a wrapped one means that the form was cut off
			return nil
		}
		if err != nil {
			return badForm{err}
		}
		if err := r.readPart(part); err != nil {
			return err
		}
	}
}

func (r *recording) readPart(part *multipart.Part) error {
	switch name := part.FormName(); {
	case part.FileName() == "" && name != "file" && name != "audio":
		value, err := io.ReadAll(io.LimitReader(part, maxFormField+1))
		if err != nil {
			return badForm{err}
		}
		if name == "language" {
			return checkLanguage(string(value))
		}
		if len(value) > maxFormField || !validText(string(value)) {
			return voiceassist.FieldError(name, "%s %s", name, notText)
		}
		return nil
	case r.received:
		return voiceassist.FieldError("file", "one file at a time")
	}
	r.received = true
	head, err := io.ReadAll(io.LimitReader(part, soundHead))
	if err != nil {
		return badForm{err}
	}
	rest, err := io.Copy(io.Discard, io.LimitReader(part, maxAudioBytes))
	if err != nil {
		return badForm{err}
	}
	r.head, r.size = head, int64(len(head))+rest
	return nil
}

// checkSound judges a file by its length and how it begins.
func checkSound(head []byte, size int64) error {
	switch {
	case size == 0:
		return voiceassist.FieldError("file", "The file is empty")
	case size > maxAudioBytes:
		return tooLarge(maxAudioBytes)
	case !isSound(head):
		return voiceassist.Errorf(voiceassist.UnsupportedMedia, "Files of this type are not heard: send WAV, MP3, MP4, AAC, Ogg, WebM or FLAC")
	}
	return nil
}

// isSound reports whether a file that begins so is of a format that speech
// recognition takes.
func isSound(head []byte) bool {
	h := string(head)
	at := func(offset int, want string) bool { return len(h) >= offset && strings.HasPrefix(h[offset:], want) }
	switch {
	case at(0, "RIFF") && at(8, "WAVE"), at(0, "OggS"), at(0, "fLaC"), at(0, "ID3"), at(0, "\x1a\x45\xdf\xa3"), at(4, "ftyp"):
		return true
	}
	// A frame of MPEG audio, or of AAC in ADTS: eleven bits set, and a layer or
	// version that exists.
	return len(h) > 2 && h[0] == 0xff && h[1]&0xe0 == 0xe0 && h[1]&0x18 != 0x08 && h[2]&0xf0 != 0xf0
}

type audioInput struct {
	ID string `path:"id"`
}

// getAudio is NotFound: nothing has been understood yet.
func (s *Server) getAudio(_ context.Context, in *audioInput) (twins[transcriptBody], error) {
	_, err := parseID(in.ID, "recording")
	if err == nil {
		err = voiceassist.Errorf(voiceassist.NotFound, "recording not found")
	}
	return twins[transcriptBody]{}, err
}

type transcribeInput struct {
	Body struct {
		Audio    string `json:"audio" minLength:"1" doc:"a sound file as base64, plain or as a data URL; longer ones go to /api/voice/audio"`
		Language string `json:"language,omitempty" doc:"BCP 47, or auto"`
	}
}

type transcribedBody struct {
	Text     string  `json:"text"`
	Language string  `json:"language"`
	Duration float64 `json:"duration" doc:"seconds"`
}

func (s *Server) transcribe(ctx context.Context, in *transcribeInput) (transcribedBody, error) {
	if err := checkLanguage(in.Body.Language); err != nil {
		return transcribedBody{}, err
	}
	audio, err := decodeAudio(in.Body.Audio)
	if err != nil {
		return transcribedBody{}, voiceassist.FieldError("audio", "audio is not base64")
	}
	if err := checkSound(audio[:min(len(audio), soundHead)], int64(len(audio))); err != nil {
		return transcribedBody{}, err
	}
	return transcribedBody{}, s.refuseVoice(ctx, "transcribe", noSpeech)
}

// decodeAudio reads base64 with or without padding, plain or in a data URL.
func decodeAudio(text string) ([]byte, error) {
	if strings.HasPrefix(text, "data:") {
		_, text, _ = strings.Cut(text, ";base64,")
	}
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(text), "="))
}

type synthesizeInput struct {
	Body struct {
		Text   string  `json:"text" minLength:"1" maxLength:"4096"`
		Voice  string  `json:"voice,omitempty" maxLength:"64"`
		Format string  `json:"format,omitempty" enum:"mp3,opus,aac,flac,wav"`
		Speed  float64 `json:"speed,omitempty" minimum:"0.25" maximum:"4"`
	}
}

// soundBody are the bytes of a sound file.
type soundBody struct{}

// Schema implements huma.SchemaProvider.
func (soundBody) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "binary", Description: "a sound file"}
}

func (s *Server) synthesize(ctx context.Context, in *synthesizeInput) (soundBody, error) {
	if strings.TrimSpace(in.Body.Text) == "" {
		return soundBody{}, voiceassist.FieldError("text", "text must not be empty")
	}
	return soundBody{}, s.refuseVoice(ctx, "synthesize", noVoice)
}

// voicesBody are the voices that speech output has.
type voicesBody struct {
	Voices []voiceBody `json:"voices"`
	Count  int         `json:"count"`
}

func (voicesBody) named() string { return "voices" }

type voiceBody struct {
	ID       string `json:"id"`
	Name     string `json:"name" example:"Alloy"`
	Language string `json:"language"`
}

func (s *Server) listVoices(context.Context, *none) (voicesBody, error) {
	return voicesBody{}, voiceassist.Errorf(voiceassist.Unavailable, noVoice)
}

type relayInput struct {
	Body struct {
		Transcript     string `json:"transcript" minLength:"1" maxLength:"8000" doc:"what was said"`
		ConversationID string `json:"conversation_id,omitempty"`
		SessionID      string `json:"session_id,omitempty" maxLength:"64"`
	}
}

// relayedBody is the answer to a spoken question.
type relayedBody struct {
	ConversationID     string         `json:"conversation_id"`
	UserMessageID      string         `json:"user_message_id"`
	AssistantMessageID string         `json:"assistant_message_id"`
	Answer             string         `json:"answer"`
	Citations          []citationBody `json:"citations"`
}

func (s *Server) relayVoice(ctx context.Context, in *relayInput) (twins[relayedBody], error) {
	if strings.TrimSpace(in.Body.Transcript) == "" {
		return twins[relayedBody]{}, voiceassist.FieldError("transcript", "transcript must not be empty")
	}
	if err := s.checkConversation(ctx, in.Body.ConversationID); err != nil {
		return twins[relayedBody]{}, err
	}
	return twins[relayedBody]{}, s.refuseVoice(ctx, "relay", noSpeech)
}
