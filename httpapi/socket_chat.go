package httpapi

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/gofiber/contrib/websocket"
	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

const (
	historyLength  = 100 // messages
	protocolNumber = "1.0"
)

var socketCapabilities = []string{"streaming", "citations", "history", "resume", "cancel", "typing"}

// socket is a chat socket: a wire and the answers that are told over it, each
// by a goroutine of its own.
type socket struct {
	*wire
	ss *sockets
	wg sync.WaitGroup // followers

	// Of the reading goroutine alone:
	dialect      dialect
	conversation uuid.UUID // of questions that name none
	clinical     uuid.UUID // the conversation whose clinical context goes with its questions

	mu        sync.Mutex
	following map[uuid.UUID]bool // answers whose end is not being told yet
	followers int                // goroutines that tell of answers
	leaving   bool               // ends when the last of them has ended
}

func newSocket(ss *sockets, conn *websocket.Conn) *socket {
	return &socket{wire: newWire(ss.s.hub, channelChat, conn), ss: ss, following: make(map[uuid.UUID]bool)}
}

// run serves the socket and returns when nothing uses the connection any more.
func (k *socket) run(o opening) {
	k.serve(func() {
		defer k.wg.Wait()
		defer k.end(websocket.CloseNormalClosure, "")
		if k.authenticate(o) && k.greet(o) {
			k.limit = maxFrame
			k.read()
		}
	})
}

// converse makes a conversation the one of questions that name none.
func (k *socket) converse(id uuid.UUID) {
	k.conversation = id
	k.about.Store(&id)
}

// leave ends the socket once the answers it follows have been told to their
// end, because the server stops.
func (k *socket) leave() {
	k.mu.Lock()
	k.leaving = true
	busy := k.followers > 0
	k.mu.Unlock()
	if !busy {
		k.end(websocket.CloseGoingAway, "the server is restarting")
	}
}

// greet opens the conversation with the client.
func (k *socket) greet(o opening) bool {
	k.send(frame{
		"type": "connected", "clientId": k.id, "client_id": k.id, "timestamp": stamp(time.Now()),
		"protocolVersion": protocolNumber, "capabilities": socketCapabilities,
	})
	if o.conversation == "" {
		return true
	}
	id, err := parseID(o.conversation, "conversation")
	if err == nil {
		err = k.sendHistory(id)
	}
	if err != nil {
		return k.send(errorFrame(err))
	}
	k.converse(id)
	return true
}

func (k *socket) sendHistory(conversation uuid.UUID) error {
	ctx, cancel := context.WithTimeout(k.ctx, requestTimeout)
	defer cancel()
	messages, _, err := k.ss.s.o.Chats.Messages(ctx, k.principal().User.ID, conversation, voiceassist.MainBranch, -historyLength, historyLength)
	if err == nil && len(messages) > 0 {
		k.send(frame{
			"type": "history", "messages": turnsOf(messages),
			"conversation_id": conversation.String(), "conversationId": conversation.String(), "session_id": conversation.String(),
		})
	}
	return err
}

// read acts on the client's frames until the socket ends.
func (k *socket) read() {
	for f, err := range k.received() {
		if err == nil {
			err = k.handle(f)
		}
		if err != nil && !k.send(k.complaint(f, err)) {
			return
		}
	}
}

// complaint is the error event about a frame.
func (k *socket) complaint(f clientFrame, err error) frame {
	e := errorFrame(err)
	if id := cmp.Or(f.MessageID, f.ClientMessageID); id != "" {
		e["messageId"], e["message_id"] = id, id
	}
	if f.ClientMessageID != "" {
		e["client_message_id"], e["clientMessageId"] = f.ClientMessageID, f.ClientMessageID
	}
	return e
}
