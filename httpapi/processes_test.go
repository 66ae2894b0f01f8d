package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/coder/websocket"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/flags"
	"github.com/voiceassist/backend/httpapi"
	"github.com/voiceassist/backend/postgres"
	"github.com/voiceassist/backend/redis"
)

// startTwo starts two API processes on one ledger and one Redis. Each has its
// own connections, flags and figures.
func startTwo(t *testing.T, change ...func(*httpapi.Options)) (one, two *suite, rd *miniredis.Miniredis) {
	t.Helper()
	rd = miniredis.RunT(t)
	var o httpapi.Options
	var run func()
	one = start(t, append(change, func(options *httpapi.Options) {
		a, ok := options.Assistant.(*assistant)
		if !ok {
			a = &assistant{}
		}
		a.db = options.Chats.(*postgres.DB)
		options.Assistant, options.Activity = a, a.db
		o = *options
		run = join(t, options, rd)
	})...)
	run()
	o.Registry = prometheus.NewRegistry()
	run = join(t, &o, rd)
	twin := *one
	two = &twin
	two.serve(httpapi.New(o))
	run()
	return one, two, rd
}

// join gives a process its way to the others. The function that it returns is
// to be called when the process has its server.
func join(t *testing.T, o *httpapi.Options, rd *miniredis.Miniredis) func() {
	t.Helper()
	c, err := redis.Open(t.Context(), "redis://"+rd.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	bus := c.NewBus(o.Log, o.Registry)
	service, err := flags.Open(t.Context(), o.Chats.(*postgres.DB), flags.Options{Bus: bus, Poll: 200 * time.Millisecond, Log: o.Log})
	if err != nil {
		t.Fatal(err)
	}
	o.Bus, o.Flags, o.Presence = bus, service, c.NewPresence()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	t.Cleanup(func() { stop(); running.Wait() })
	return func() {
		running.Go(func() { bus.Run(ctx) })
		running.Go(func() { service.Run(ctx) })
	}
}

// until repeats do until it reports success.
func until(t *testing.T, what string, do func() bool) {
	t.Helper()
	for deadline := time.After(10 * time.Second); !do(); {
		select {
		case <-deadline:
			t.Fatal("never: " + what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// waitFor reads events until one is of this type.
func (k *chatSocket) waitFor(kind string) event {
	k.t.Helper()
	for {
		e, err := k.receive()
		if err != nil {
			k.t.Fatalf("wait for %s: %v", kind, err)
		}
		if e.text("type") == kind {
			return e
		}
	}
}

// frames reads a socket's events into a channel, until it is closed.
func (k *chatSocket) frames() <-chan event {
	all := make(chan event, 100)
	go func() {
		defer close(all)
		for {
			e, err := k.receive()
			if err != nil {
				return
			}
			select {
			case all <- e:
			case <-k.t.Context().Done():
				return
			}
		}
	}()
	return all
}

func has(frames <-chan event, kind string) bool {
	for {
		select {
		case e := <-frames:
			if e.text("type") == kind {
				return true
			}
		default:
			return false
		}
	}
}

func TestTypingAndTranscriptsReachTheUsersSocketsOfOtherProcesses(t *testing.T) {
	t.Parallel()
	one, two, _ := startTwo(t)
	in := one.signIn(voiceassist.RoleUser)
	stranger := two.connect(one.signIn(voiceassist.RoleViewer))
	from, to := one.connect(in), two.connect(in)
	frames := to.frames()
	until(t, "typing is relayed", func() bool {
		from.send(`{"type":"typing_start","conversationId":"c"}`)
		return has(frames, "typing_start")
	})
	until(t, "a transcript is told", func() bool {
		one.server.TellTranscript(httpapi.Transcript{ID: uuid.New(), UserID: in.User.ID, Status: "completed", Text: "a secret cough"})
		return has(frames, "voice.transcript")
	})
	if e := from.waitFor("voice.transcript"); e.text("status") != "completed" || e.text("text") != "a secret cough" || e.text("id") == "" {
		t.Errorf("the transcript is %v", e)
	}
	stranger.send(`{"type":"ping"}`)
	stranger.want("pong")
	if strings.Contains(one.log.String(), "secret") {
		t.Error("the transcript is in the log")
	}
}

func TestAnswerIsCancelledFromAnotherProcess(t *testing.T) {
	t.Parallel()
	one, two, _ := startTwo(t, func(o *httpapi.Options) { o.Assistant = &assistant{hold: make(chan struct{})} })
	in := one.signIn(voiceassist.RoleUser)
	asking, other := one.connect(in), two.connect(in)
	asking.send(`{"type":"message_send","content":"Does aspirin help?"}`)
	answer := asking.waitFor("chunk").text("message_id")
	frames := asking.frames()
	until(t, "the answer is cancelled", func() bool {
		other.send(`{"type":"cancel","message_id":"` + answer + `"}`)
		select {
		case e := <-frames:
			return e.text("type") == "message_done" && e.text("status") == "cancelled"
		case <-time.After(50 * time.Millisecond):
			return false
		}
	})
	if n := one.count(`SELECT count(*) FROM messages WHERE id = $1 AND status = 'cancelled'`, answer); n != 1 {
		t.Error("the stored answer is not cancelled")
	}
}

func TestTypingIsRelayedInTheProcessWhenRedisIsAway(t *testing.T) {
	t.Parallel()
	one, _, rd := startTwo(t)
	in := one.signIn(voiceassist.RoleUser)
	from, to := one.connect(in), one.connect(in)
	rd.Close()
	from.send(`{"type":"typing_stop","session_id":"c"}`)
	if e := to.want("typing_stop"); e.text("conversationId") != "c" {
		t.Errorf("relayed is %v", e)
	}
	from.send(`{"type":"typing_start","session_id":"` + strings.Repeat("x", 101) + `"}`)
	if e := from.want("error"); e.text("code") != "INVALID_EVENT" {
		t.Errorf("a long name is %v", e)
	}
}

// sse is a client's end of a stream of events.
type sse struct {
	t    *testing.T
	resp *http.Response
	in   *bufio.Scanner
	stop context.CancelFunc
}

// stream opens a stream of flags.
func (s *suite) stream(path string, with ...func(*http.Request)) *sse {
	s.t.Helper()
	ctx, stop := context.WithTimeout(s.t.Context(), 20*time.Second)
	s.t.Cleanup(stop)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range with {
		f(req)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = resp.Body.Close() })
	return &sse{s.t, resp, bufio.NewScanner(resp.Body), stop}
}

// next returns the fields of the next event; "" is its comments. It is nil at
// the end of the stream.
func (e *sse) next() map[string]string {
	fields := map[string]string{}
	for e.in.Scan() {
		line := e.in.Text()
		if line == "" && len(fields) > 0 {
			return fields
		}
		name, value, _ := strings.Cut(line, ": ")
		fields[strings.TrimSuffix(name, ":")] = value
	}
	return nil
}

// want returns the next event with data, which must be of this type.
func (e *sse) want(kind string) (id string, data map[string]any) {
	e.t.Helper()
	for {
		fields := e.next()
		if fields == nil {
			e.t.Fatalf("the stream ended, want %s", kind)
		}
		if fields["data"] == "" {
			continue
		}
		if fields["event"] != kind {
			e.t.Fatalf("got %v, want %s", fields, kind)
		}
		if err := json.Unmarshal([]byte(fields["data"]), &data); err != nil {
			e.t.Fatal(err)
		}
		if err := theSockets(e.t).check("watchFlags", kind, any(data)); err != nil {
			e.t.Errorf("an event is not as the AsyncAPI document says: %v", err)
		}
		return fields["id"], data
	}
}

func flagIn(data map[string]any, name string) any {
	all, _ := data["flags"].(map[string]any)
	return all[name]
}

func TestToggleReachesTheStreamsOfAnotherProcess(t *testing.T) {
	t.Parallel()
	one, two, rd := startTwo(t)
	admin, user := as(one.signIn(voiceassist.RoleAdmin).Tokens.Access), one.signIn(voiceassist.RoleUser)
	st := two.stream("/api/flags/stream?token=" + user.Tokens.Access)
	h := st.resp.Header
	if st.resp.StatusCode != http.StatusOK || !strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") || h.Get("X-Accel-Buffering") != "no" || h.Get("Cache-Control") != "no-store" {
		t.Fatalf("the stream begins with %d %v", st.resp.StatusCode, h)
	}
	if _, data := st.want("flags"); flagIn(data, "voice_mode") != true || data["version"] == "" {
		t.Errorf("the first event is %v", data)
	}
	one.want(200, one.do("POST", flagsPath+"/voice_mode/toggle", "", admin))
	id, data := st.want("flag_update")
	changes, _ := data["changes"].([]any)
	if len(changes) != 1 || changes[0].(map[string]any)["name"] != "voice_mode" || flagIn(data, "voice_mode") != false || data["version"] != id {
		t.Errorf("the update is %v", data)
	}

	// The same without the bus, and told again only where it is news.
	rd.Close()
	known := two.stream("/api/flags/stream", as(user.Tokens.Access), header("Last-Event-ID", id))
	if first := known.next(); first["data"] != "" {
		t.Errorf("a client that knows everything is told %v", first)
	}
	one.want(201, one.do("POST", flagsPath, `{"name":"for.admins","targeting_rules":[{"attribute":"role","operator":"equals","value":"admin","enabled":true}]}`, admin))
	one.want(200, one.do("POST", flagsPath+"/voice_mode/toggle", "", admin))
	for flagIn(data, "voice_mode") != true {
		_, data = st.want("flag_update")
	}
	for data = nil; flagIn(data, "voice_mode") != true; {
		_, data = known.want("flag_update")
	}
	one.want(200, one.do("DELETE", flagsPath+"/for.admins", "", admin))
	for gone := false; !gone; {
		_, data = st.want("flag_update")
		changes, _ = data["changes"].([]any)
		last, _ := changes[len(changes)-1].(map[string]any)
		gone = last["name"] == "for.admins" && last["removed"] == true
	}
	if log := one.log.String(); strings.Contains(log, user.Tokens.Access) {
		t.Error("the token of the query is in the log")
	}
}

func TestRevokedSessionEndsItsChannelsInOtherProcesses(t *testing.T) {
	t.Parallel()
	one, two, _ := startTwo(t)
	in := one.signIn(voiceassist.RoleViewer)
	chat := two.connect(in)
	panel := two.dial("/api/admin/panel/ws?token="+in.Tokens.Access, nil)
	panel.want("connected")
	st := two.stream("/api/flags/stream", header("Cookie", "va_session="+in.Tokens.Cookie))
	st.want("flags")
	one.want(200, one.do("POST", "/api/auth/logout", "", as(in.Tokens.Access)))
	chat.wantClosed(websocket.StatusPolicyViolation)
	panel.wantClosed(websocket.StatusPolicyViolation)
	for st.next() != nil {
		continue
	}
	one.want(401, one.do("GET", "/api/flags/stream?token="+in.Tokens.Access, ""))
}

func TestStreamsWantToKnowWhoAsks(t *testing.T) {
	t.Parallel()
	s := start(t, withFlags(t))
	in := s.signIn(voiceassist.RoleUser)
	s.want(401, s.do("GET", "/api/flags/stream", ""))
	s.want(401, s.do("GET", "/api/flags/stream?token=x", ""))
	s.want(403, s.do("GET", "/api/flags/stream", "", header("Cookie", "va_session="+in.Tokens.Cookie), header("Origin", "https://evil.example")))
	s.want(401, s.do("GET", "/api/auth/me?token="+in.Tokens.Access, ""))
	if r := s.want(200, s.do("HEAD", "/api/flags/stream", "", as(in.Tokens.Access))); r.text != "" {
		t.Errorf("a HEAD is answered with %q", r.text)
	}
}

func TestSocketStatusCountsAllProcesses(t *testing.T) {
	t.Parallel()
	one, two, rd := startTwo(t, func(o *httpapi.Options) {
		o.Pools = func() httpapi.Pools { return httpapi.Pools{Database: httpapi.Pool{Max: 7}} }
	})
	admin, user := one.signIn(voiceassist.RoleAdmin), one.signIn(voiceassist.RoleUser)
	k := one.connect(user)
	k.send(`{"type":"message_send","content":"Does aspirin help?"}`)
	conversation := k.answer()[0].text("conversation_id")
	two.connect(user)
	two.stream("/api/flags/stream", as(user.Tokens.Access)).want("flags")
	two.dial("/api/admin/panel/ws?token="+admin.Tokens.Access, nil).want("connected")
	status := func() response {
		return one.want(200, one.do("GET", "/api/admin/panel/websocket-status", "", as(admin.Tokens.Access)))
	}
	var r response
	until(t, "four connections", func() bool { r = status(); return r.at("active_connections") == 4.0 })
	if r.at("connectionsByType", "chat") != 2.0 || r.at("connections_by_type", "sse") != 1.0 || r.at("data", "connections_by_type", "admin") != 1.0 {
		t.Errorf("by type: %s", r.text)
	}
	if r.at("processes") != 2.0 || r.at("active_users") != 2.0 || r.at("partial") != false || r.at("pool_stats", "database", "max") != 7.0 {
		t.Errorf("the status is %s", r.text)
	}
	recent, _ := r.at("recent_connections").([]any)
	processes, conversations := map[any]bool{}, 0
	for _, row := range recent {
		fields := row.(map[string]any)
		processes[fields["process"]] = true
		if fields["conversation_id"] == conversation && fields["user_id"] == user.User.ID.String() && fields["messages"] == 1.0 {
			conversations++
		}
	}
	if len(recent) != 4 || len(processes) != 2 || conversations != 1 {
		t.Errorf("the connections are %v", recent)
	}
	two.stop()
	until(t, "the other process is gone", func() bool { r = status(); return r.at("active_connections") == 1.0 })
	rd.Close()
	if r = status(); r.at("partial") != true || r.at("active_connections") != 1.0 {
		t.Errorf("without Redis the status is %s", r.text)
	}
	one.want(403, one.do("GET", "/api/admin/panel/websocket-status", "", as(user.Tokens.Access)))
}

func TestPanelsSeeFiguresAndEventsOfAllProcesses(t *testing.T) {
	t.Parallel()
	one, two, _ := startTwo(t, func(o *httpapi.Options) { o.PanelEvery = 100 * time.Millisecond })
	admin, viewer := one.signIn(voiceassist.RoleAdmin), one.signIn(voiceassist.RoleViewer)
	panel := two.dial("/admin/panel/ws", nil)
	panel.send(`{"type":"auth","token":"` + viewer.Tokens.Access + `"}`)
	if hello := panel.want("connected"); hello.text("clientId") == "" {
		t.Errorf("the greeting is %v", hello)
	}
	for range 2 {
		m, _ := panel.want("metrics_update")["metrics"].(map[string]any)
		if m["total_users"] != 2.0 || m["active_users"] != 2.0 || m["active_connections"] != 1.0 || m["answers_running"] != 0.0 {
			t.Errorf("the figures are %v", m)
		}
		if queues, _ := m["queues"].(map[string]any); len(queues) != 4 {
			t.Errorf("the queues are %v", m["queues"])
		}
	}
	panel.send(`{"type":"ping"}`)
	panel.waitFor("pong")
	panel.send(`{"type":"subscribe","channels":["flags"]}`)
	panel.waitFor("subscribed")
	frames := panel.frames()
	var got event
	until(t, "the panel hears of a flag", func() bool {
		one.want(200, one.do("POST", flagsPath+"/voice_mode/toggle", "", as(admin.Tokens.Access)))
		select {
		case got = <-frames:
			return true
		case <-time.After(100 * time.Millisecond):
			return false
		}
	})
	if got.text("type") != "admin_event" || got.text("event") != "flag.toggled" || got.text("resource_id") != "voice_mode" {
		t.Errorf("told is %v", got)
	}
}

func TestPanelsAreForThoseWhoMayLook(t *testing.T) {
	t.Parallel()
	s := start(t)
	user, viewer := s.signIn(voiceassist.RoleUser), s.signIn(voiceassist.RoleViewer)
	k := s.dial("/api/admin/panel/ws?token="+user.Tokens.Access, nil)
	if e := k.want("error"); e.text("code") != "FORBIDDEN" {
		t.Errorf("a user is told %v", e)
	}
	k.wantClosed(websocket.StatusPolicyViolation)
	k = s.dial("/api/admin/panel/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Cookie": {"va_session=" + viewer.Tokens.Cookie}}})
	k.want("connected")
	for _, frame := range []string{`{"type":"x"}`, `nonsense`, `{"type":"subscribe","channels":["A B"]}`, `{"type":"subscribe","channels":"all"}`} {
		k.send(frame)
		if e := k.waitFor("error"); e.text("code") != "INVALID_EVENT" {
			t.Errorf("%s: %v", frame, e)
		}
	}
	_, resp, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/api/admin/panel/ws", &websocket.DialOptions{
		HTTPClient: s.client, HTTPHeader: http.Header{"Cookie": {"va_session=" + viewer.Tokens.Cookie}, "Origin": {"https://evil.example"}},
	})
	if err == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a strange page gets %v, %v", resp, err)
	}
	s.stop()
	k.wantClosed(websocket.StatusGoingAway)
}

func TestTooManyFramesAreRefusedAndThenEndTheSocket(t *testing.T) {
	t.Parallel()
	s, in := startChat(t, &assistant{})
	k := s.connect(in)
	frames := k.frames()
	refused := 0
	for k.conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"ping"}`)) == nil {
		for more := true; more; {
			select {
			case e, open := <-frames:
				if e.text("code") == "RATE_LIMITED" {
					refused++
				}
				more = open
			default:
				more = false
			}
		}
	}
	for e := range frames {
		if e.text("code") == "RATE_LIMITED" {
			refused++
		}
	}
	if refused < 50 {
		t.Errorf("%d frames were refused before the end", refused)
	}
}
