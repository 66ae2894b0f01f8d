package httpapi_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/httpapi"
	"github.com/voiceassist/backend/machine"
	"github.com/voiceassist/backend/qdrant"
)

func TestResourcesAreToldInBothCasings(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *httpapi.Options) {
		o.Machine = machine.New(machine.Place{Name: "data", Path: t.TempDir()})
		o.Backlogs = func(context.Context) (map[voiceassist.Queue]voiceassist.Backlog, error) {
			return map[voiceassist.Queue]voiceassist.Backlog{
				voiceassist.QueueDefault: {Pending: 3, Running: 1, Oldest: 90 * time.Second}, voiceassist.QueueBulk: {Pending: 2},
			}, nil
		}
		o.IndexFigures = func(context.Context) (httpapi.IndexFigures, error) {
			return httpapi.IndexFigures{Points: 42, Profile: "small/64"}, nil
		}
	})
	viewer := s.signIn(voiceassist.RoleViewer)
	r := s.want(200, s.do("GET", "/admin/system/resources", "", as(viewer.Access)))
	for _, path := range [][]string{
		{"cpu", "usage_percent"},
		{"cpu", "usagePercent"},
		{"cpu_usage_percent"},
		{"cpuCount"},
		{"memory", "total_bytes"},
		{"memoryUsagePercent"},
		{"disk", "free_bytes"},
		{"diskFreeBytes"},
		{"load", "load_1m"},
		{"load", "load1m"},
		{"process", "rss_bytes"},
		{"process", "openFiles"},
		{"process", "go_version"},
		{"process", "uptimeSeconds"},
		{"data", "process", "goroutines"},
	} {
		if r.at(path...) == nil {
			t.Errorf("%v is missing: %s", path, r.text)
		}
	}
	for want, path := range map[any][]string{
		5.0: {"queue", "pending"}, 1.0: {"queue", "running"}, 90.0: {"queue", "oldestSeconds"}, 42.0: {"index", "points"},
		"small/64": {"index", "embeddingProfile"}, "data": {"disk", "name"},
	} {
		if r.at(path...) != want {
			t.Errorf("%v is %v, want %v", path, r.at(path...), want)
		}
	}
	if n := len(r.at("queues").([]any)); n != len(voiceassist.Queues) {
		t.Errorf("%d queues are told, want all", n)
	}
}

func TestResourcesThatCannotBeMeasuredAreNull(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *httpapi.Options) {
		o.Backlogs = func(context.Context) (map[voiceassist.Queue]voiceassist.Backlog, error) { return nil, errors.New("no") }
		o.IndexFigures = func(context.Context) (httpapi.IndexFigures, error) { return httpapi.IndexFigures{}, errors.New("no") }
	})
	r := s.want(200, s.do("GET", "/api/admin/system/resources", "", as(s.signIn(voiceassist.RoleAdmin).Access)))
	if r.at("queue") != nil || r.at("index") != nil || r.at("disk") != nil || r.at("cpu") == nil {
		t.Errorf("resources: %s", r.text)
	}
}

// says is a service that answers so.
func says(name string, required bool, c httpapi.Condition, err error) httpapi.Service {
	return httpapi.Service{Name: name, Required: required, Probe: func(context.Context) (httpapi.Condition, error) { return c, err }}
}

func TestServicesSayHowTheyAre(t *testing.T) {
	t.Parallel()
	fine := says("postgres", true, httpapi.Condition{Version: "17.1"}, nil)
	absent := httpapi.Service{Name: "nextcloud"}
	broken := errors.New("dial tcp 10.0.0.7:6379: connection refused")
	told := voiceassist.Errorf(voiceassist.Unavailable, "Redis does not answer")
	for _, c := range []struct {
		name     string
		services []httpapi.Service
		overall  string
		message  string // of the last
	}{
		{"all is well", []httpapi.Service{fine, absent}, "healthy", "Not configured"},
		{"something helpful fails", []httpapi.Service{fine, says("workers", false, httpapi.Condition{}, told)}, "degraded", "Redis does not answer"},
		{"something required fails", []httpapi.Service{fine, absent, says("redis", true, httpapi.Condition{}, broken)}, "unhealthy", "It does not work as it should; the log says more"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(o *httpapi.Options) { o.Services = c.services })
			viewer := s.signIn(voiceassist.RoleViewer)
			for _, path := range []string{"/api/admin/services/status", "/api/admin/health/services", "/api/admin/health/dependencies"} {
				r := s.want(200, s.do("GET", path, "", as(viewer.Access)))
				list := r.at("data", "services").([]any)
				last := list[len(list)-1].(map[string]any)
				if r.at("overall_status") != c.overall || r.at("overallStatus") != c.overall || len(list) != len(c.services) || last["message"] != c.message {
					t.Errorf("%s: %s", path, r.text)
				}
				first := list[0].(map[string]any)
				if first["version"] != "17.1" || first["latency_ms"] == nil || first["latencyMs"] == nil || first["required"] != true {
					t.Errorf("%s: %v", path, first)
				}
				if strings.Contains(r.text, "10.0.0.7") {
					t.Errorf("%s tells an address: %s", path, r.text)
				}
			}
			r := s.want(200, s.do("GET", "/api/admin/system/health", "", as(viewer.Access)))
			if r.at("status") != c.overall || r.at("checks", "postgres") != "healthy" {
				t.Errorf("health: %s", r.text)
			}
		})
	}
}

// TestADeadServiceDoesNotHoldTheAnswer asks one that can never be reached, and
// one that does not even heed the end of its time.
func TestADeadServiceDoesNotHoldTheAnswer(t *testing.T) {
	t.Parallel()
	index, err := qdrant.Open("http://"+silentAddr(t), qdrant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = index.Close() })
	release := make(chan struct{})
	var calls atomic.Int64
	s := start(t, func(o *httpapi.Options) {
		o.Services = []httpapi.Service{
			{Name: "qdrant", Required: true, Probe: func(ctx context.Context) (httpapi.Condition, error) {
				_, err := index.Health(ctx)
				return httpapi.Condition{}, err
			}},
			{Name: "stubborn", Probe: func(context.Context) (httpapi.Condition, error) {
				calls.Add(1)
				<-release
				return httpapi.Condition{}, nil
			}},
			says("postgres", true, httpapi.Condition{}, nil),
		}
	})
	defer close(release) // before the server ends, which waits for its probes
	admin := s.signIn(voiceassist.RoleAdmin)
	r := s.want(200, s.do("GET", "/api/admin/services/status", "", as(admin.Access)))
	statuses := map[string]any{}
	for _, each := range r.at("services").([]any) {
		service := each.(map[string]any)
		statuses[service["name"].(string)] = service["status"]
	}
	if statuses["qdrant"] != "unhealthy" || statuses["stubborn"] != "unhealthy" || statuses["postgres"] != "healthy" {
		t.Errorf("statuses %v", statuses)
	}
	if !strings.Contains(r.text, "It did not answer within 2s") {
		t.Errorf("services: %s", r.text)
	}
	if calls.Load() != 1 {
		t.Errorf("the stubborn probe was called %d times, want once", calls.Load())
	}
}

// silentAddr is an address that takes connections and never answers.
func silentAddr(t *testing.T) string {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String()
}

func TestManyWhoAskShareOneAnswer(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	s := start(t, func(o *httpapi.Options) {
		o.Services = []httpapi.Service{{Name: "postgres", Probe: func(context.Context) (httpapi.Condition, error) {
			calls.Add(1)
			return httpapi.Condition{}, nil
		}}}
	})
	admin := s.signIn(voiceassist.RoleAdmin)
	began := time.Now()
	var asking sync.WaitGroup
	for range 20 {
		asking.Go(func() { s.do("GET", "/api/admin/services/status", "", as(admin.Access)) })
	}
	asking.Wait()
	// An answer is good for two seconds.
	if most := 1 + int64(time.Since(began)/(2*time.Second)); calls.Load() > most {
		t.Errorf("20 who asked made %d probes, want at most %d", calls.Load(), most)
	}
}
