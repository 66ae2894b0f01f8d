package httpapi

import (
	"context"
	"log/slog"
	"math"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// Machine is what this package asks of machine.Machine.
type Machine interface {
	// Figures measures at once; what cannot be measured is missing.
	Figures(ctx context.Context) voiceassist.MachineFigures
}

// resourcesBody is what the machine of the process that answers has and uses,
// and what the system has to do. What could not be measured is null.
type resourcesBody struct {
	CPU     *twins[cpuBody]    `json:"cpu"`
	Memory  *twins[spaceBody]  `json:"memory"`
	Disk    *twins[spaceBody]  `json:"disk" doc:"the first of disks"`
	Disks   []twins[spaceBody] `json:"disks" doc:"those that our data lies on; none when all of it is on other machines"`
	Load    *twins[loadBody]   `json:"load"`
	Process twins[processBody] `json:"process"`
	Queue   *twins[queueBody]  `json:"queue" doc:"all queues together"`
	Queues  []twins[queueBody] `json:"queues"`
	Index   *twins[indexBody]  `json:"index"`

	// The same again for clients that read no objects.
	CPUCount           *int     `json:"cpu_count"`
	CPUUsagePercent    *float64 `json:"cpu_usage_percent"`
	MemoryTotalBytes   *uint64  `json:"memory_total_bytes"`
	MemoryUsedBytes    *uint64  `json:"memory_used_bytes"`
	MemoryUsagePercent *float64 `json:"memory_usage_percent"`
	DiskTotalBytes     *uint64  `json:"disk_total_bytes"`
	DiskUsedBytes      *uint64  `json:"disk_used_bytes"`
	DiskFreeBytes      *uint64  `json:"disk_free_bytes"`
	DiskUsagePercent   *float64 `json:"disk_usage_percent"`

	Timestamp string `json:"timestamp" format:"date-time"`
}

type cpuBody struct {
	Count        int     `json:"count"`
	UsagePercent float64 `json:"usage_percent" doc:"of all processors, since somebody last asked"`
}

type spaceBody struct {
	Name         string  `json:"name" doc:"what is measured" example:"data"`
	TotalBytes   uint64  `json:"total_bytes"`
	UsedBytes    uint64  `json:"used_bytes"`
	FreeBytes    uint64  `json:"free_bytes" doc:"what can still be had"`
	UsagePercent float64 `json:"usage_percent"`
}

type loadBody struct {
	Load1  float64 `json:"load_1m"`
	Load5  float64 `json:"load_5m"`
	Load15 float64 `json:"load_15m"`
}

type processBody struct {
	RSSBytes      *uint64 `json:"rss_bytes"`
	OpenFiles     *int    `json:"open_files"`
	Goroutines    int     `json:"goroutines"`
	UptimeSeconds int64   `json:"uptime_seconds"`
	GoVersion     string  `json:"go_version"`
	Version       string  `json:"version"`
}

type queueBody struct {
	Name          string  `json:"name" example:"interactive"`
	Pending       int     `json:"pending" doc:"jobs not started"`
	Running       int     `json:"running"`
	OldestSeconds float64 `json:"oldest_seconds" doc:"how long the oldest job has been due"`
}

type indexBody struct {
	Points  int    `json:"points" doc:"passages that can be found"`
	Bytes   *int64 `json:"bytes" doc:"null where the index does not tell"`
	Profile string `json:"embedding_profile"`
}

func (s *Server) resources(ctx context.Context, _ *none) (twins[resourcesBody], error) {
	f := s.o.Machine.Figures(ctx)
	b := resourcesBody{Process: processOf(f.Process), Disks: []twins[spaceBody]{}, Timestamp: stamp(time.Now())}
	if f.CPU != nil {
		c := cpuBody{Count: f.CPU.Count, UsagePercent: tenths(f.CPU.Percent)}
		b.CPU, b.CPUCount, b.CPUUsagePercent = new(both(c)), &c.Count, &c.UsagePercent
	}
	if f.Memory != nil {
		m := spaceOf("memory", *f.Memory)
		b.Memory, b.MemoryTotalBytes, b.MemoryUsedBytes, b.MemoryUsagePercent = new(both(m)), &m.TotalBytes, &m.UsedBytes, &m.UsagePercent
	}
	if f.Load != nil {
		b.Load = new(both(loadBody{f.Load.One, f.Load.Five, f.Load.Fifteen}))
	}
	for i, each := range f.Disks {
		d := spaceOf(each.Name, each.SpaceFigures)
		if b.Disks = append(b.Disks, both(d)); i == 0 {
			b.Disk, b.DiskTotalBytes, b.DiskUsedBytes, b.DiskFreeBytes, b.DiskUsagePercent = new(both(d)), &d.TotalBytes, &d.UsedBytes, &d.FreeBytes, &d.UsagePercent
		}
	}
	b.Queue, b.Queues = s.queueFigures(ctx)
	b.Index = s.indexFigures(ctx)
	return both(b), nil
}

func processOf(p voiceassist.ProcessFigures) twins[processBody] {
	return both(processBody{
		RSSBytes: p.RSS, OpenFiles: p.OpenFiles, Goroutines: p.Goroutines, UptimeSeconds: int64(p.Uptime / time.Second),
		GoVersion: p.GoVersion, Version: voiceassist.Version,
	})
}

func spaceOf(name string, f voiceassist.SpaceFigures) spaceBody {
	b := spaceBody{Name: name, TotalBytes: f.Total, UsedBytes: f.Used, FreeBytes: f.Free}
	if have := f.Used + f.Free; have > 0 {
		b.UsagePercent = tenths(100 * float64(f.Used) / float64(have))
	}
	return b
}

func tenths(x float64) float64 { return math.Round(10*x) / 10 }

// queueFigures returns the figures of all queues together and of each, nil
// while the ledger does not answer.
func (s *Server) queueFigures(ctx context.Context) (*twins[queueBody], []twins[queueBody]) {
	if s.o.Backlogs == nil {
		return nil, []twins[queueBody]{}
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	backlogs, err := s.o.Backlogs(ctx)
	if err != nil {
		s.o.Log.WarnContext(ctx, "figures of the queues", slog.Any("error", err))
		return nil, []twins[queueBody]{}
	}
	all := queueBody{Name: "all"}
	each := make([]twins[queueBody], 0, len(voiceassist.Queues))
	for _, q := range voiceassist.Queues {
		b := backlogs[q.Name]
		one := queueBody{Name: string(q.Name), Pending: b.Pending, Running: b.Running, OldestSeconds: tenths(b.Oldest.Seconds())}
		all.Pending += one.Pending
		all.Running += one.Running
		all.OldestSeconds = max(all.OldestSeconds, one.OldestSeconds)
		each = append(each, both(one))
	}
	return new(both(all)), each
}

func (s *Server) indexFigures(ctx context.Context) *twins[indexBody] {
	if s.o.IndexFigures == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	f, err := s.o.IndexFigures(ctx)
	if err != nil {
		s.o.Log.WarnContext(ctx, "figures of the index", slog.Any("error", err))
		return nil
	}
	b := indexBody{Points: f.Points, Profile: f.Profile}
	if f.Bytes > 0 {
		b.Bytes = &f.Bytes
	}
	return new(both(b))
}

type systemHealthBody struct {
	Status        string            `json:"status" enum:"healthy,degraded,unhealthy"`
	OverallStatus string            `json:"overall_status" enum:"healthy,degraded,unhealthy"`
	Version       string            `json:"version"`
	UptimeSeconds int64             `json:"uptime_seconds"`
	Checks        map[string]string `json:"checks" doc:"the status of each service by its name"`
	Timestamp     string            `json:"timestamp" format:"date-time"`
}

// systemHealth is servicesStatus in short.
func (s *Server) systemHealth(ctx context.Context, _ *none) (twins[systemHealthBody], error) {
	states, at, err := s.probes.ask(ctx)
	if err != nil {
		return twins[systemHealthBody]{}, err
	}
	b := systemHealthBody{
		Version: voiceassist.Version, UptimeSeconds: int64(s.o.Machine.Figures(ctx).Process.Uptime / time.Second),
		Checks: make(map[string]string, len(states)), Timestamp: stamp(at),
	}
	b.Status = overall(states)
	b.OverallStatus = b.Status
	for _, each := range states {
		b.Checks[each.Name] = each.Status
	}
	return both(b), nil
}

// servicesBody is how everything is that the system is made of.
type servicesBody struct {
	Services      []twins[serviceBody] `json:"services"`
	Status        string               `json:"status" enum:"healthy,degraded,unhealthy"`
	OverallStatus string               `json:"overall_status" enum:"healthy,degraded,unhealthy"`
	Timestamp     string               `json:"timestamp" format:"date-time" doc:"when they were asked, which is not long ago"`
}

func (s *Server) servicesStatus(ctx context.Context, _ *none) (twins[servicesBody], error) {
	states, at, err := s.probes.ask(ctx)
	if err != nil {
		return twins[servicesBody]{}, err
	}
	b := servicesBody{Services: make([]twins[serviceBody], len(states)), Status: overall(states), Timestamp: stamp(at)}
	b.OverallStatus = b.Status
	for i, each := range states {
		b.Services[i] = both(each)
	}
	return both(b), nil
}
