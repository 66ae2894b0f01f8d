package httpapi

import (
	"errors"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// frame is a message to the client, a JSON object with a "type".
type frame map[string]any

// dialect is the vocabulary in which a socket tells of answers. The first start
// or ask frame of the client fixes it.
type dialect int

const (
	dialectOpen dialect = iota // not fixed yet; v2 is spoken until it is
	dialectV1
	dialectV2
	dialectWeb
)

// asks are the frames that ask a question, and the dialect each belongs to.
var asks = map[string]dialect{
	"message.send": dialectV1,
	"message_send": dialectV2,
	"message":      dialectWeb,
}

// The codes of error events.
const (
	socketUnauthorized  = "UNAUTHORIZED"
	socketAuthFailed    = "AUTH_FAILED"
	socketForbidden     = "FORBIDDEN"
	socketNotFound      = "NOT_FOUND"
	socketInvalid       = "INVALID_EVENT"
	socketRateLimited   = "RATE_LIMITED"
	socketQuotaExceeded = "QUOTA_EXCEEDED"
	socketBackend       = "BACKEND_ERROR"
)

// socketCode returns the code that tells of err.
func socketCode(err error) string {
	if errors.Is(err, errQuota) {
		return socketQuotaExceeded
	}
	switch explain(err).code {
	case voiceassist.Unauthorized:
		return socketUnauthorized
	case voiceassist.Forbidden:
		return socketForbidden
	case voiceassist.NotFound:
		return socketNotFound
	case voiceassist.Invalid, voiceassist.Malformed:
		return socketInvalid
	case voiceassist.RateLimited:
		return socketRateLimited
	default:
		return socketBackend
	}
}

// errorFrame tells of err without anything internal.
func errorFrame(err error) frame { return errorEvent(socketCode(err), explain(err).message) }

func errorEvent(code, message string) frame {
	return frame{
		"type": "error", "code": code, "message": message,
		"error": frame{"code": code, "message": message},
	}
}

// render returns the frames that tell of one event of an answer. Each has a
// seq; the last one of the final event is marked final.
func (d dialect) render(event voiceassist.AnswerEvent, err error) []frame {
	m := event.Message
	if !event.Final {
		return []frame{d.delta(m, event.Seq, event.Delta)}
	}
	var frames []frame
	if err != nil {
		frames = append(frames, about(m, errorFrame(err), event.Seq))
	}
	if m.Status == voiceassist.MessageStreaming { // its end could not be learnt
		m.Status = voiceassist.MessageFailed
	}
	frames = append(frames, d.end(m, event.Seq+len(frames))...)
	frames[len(frames)-1]["final"] = true
	return frames
}

// delta tells of more text.
func (d dialect) delta(m voiceassist.Message, seq int, text string) frame {
	if d == dialectV1 {
		return about(m, frame{"type": "message.delta", "role": "assistant", "content_delta": text}, seq)
	}
	return about(m, frame{"type": "chunk", "content": text}, seq)
}

// end tells that an answer has ended, the first frame with number seq.
func (d dialect) end(m voiceassist.Message, seq int) []frame {
	message, citations := both(turnOf(m)), citationsOf(m.Citations)
	switch d {
	case dialectV1:
		return []frame{
			about(m, frame{"type": "message.complete", "status": m.Status, "content": m.Content}, seq),
			about(m, frame{"type": "citation.list", "citations": citations}, seq+1),
		}
	case dialectWeb:
		return []frame{about(m, frame{
			"type": "message.done", "message": message, "status": m.Status, "timestamp": stamp(time.Now()),
		}, seq)}
	default: // v2, also before a client has shown what it speaks
		return []frame{about(m, frame{
			"type": "message_done", "content": m.Content, "citations": citations, "message": message, "status": m.Status,
		}, seq)}
	}
}

// about adds to a frame which message it is about, in every spelling that a
// client reads.
func about(m voiceassist.Message, f frame, seq int) frame {
	message, conversation := m.ID.String(), m.ConversationID.String()
	f["message_id"], f["messageId"] = message, message
	f["session_id"], f["sessionId"] = conversation, conversation
	f["conversation_id"], f["conversationId"] = conversation, conversation
	f["seq"], f["final"] = seq, false
	return f
}
