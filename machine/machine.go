// Package machine measures the machine and this process on it.
package machine

import (
	"context"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/process"

	voiceassist "github.com/voiceassist/backend"
)

// Place is a path whose file system is measured, under the name of what lies
// there.
type Place struct{ Name, Path string }

// Machine measures when it is asked. It is safe for concurrent use.
type Machine struct {
	places  []Place
	started time.Time

	mu      sync.Mutex
	last    cpu.TimesStat // when the processors were last looked at
	at      time.Time
	percent float64
	known   bool // last holds something
}

// New returns a Machine that measures the disks of these places.
func New(places ...Place) *Machine {
	m := &Machine{places: places, started: time.Now()}
	m.last, m.known = times(context.Background())
	m.at = m.started
	return m
}

// Figures measures. It never waits: how busy the processors are is the mean
// since it was last asked, at least a second ago.
func (m *Machine) Figures(ctx context.Context) voiceassist.MachineFigures {
	f := voiceassist.MachineFigures{CPU: m.cpu(ctx), Process: m.process(ctx)}
	if v, err := mem.VirtualMemoryWithContext(ctx); err == nil {
		f.Memory = &voiceassist.SpaceFigures{Total: v.Total, Used: v.Used, Free: v.Available}
	}
	if a, err := load.AvgWithContext(ctx); err == nil {
		f.Load = &voiceassist.LoadFigures{One: a.Load1, Five: a.Load5, Fifteen: a.Load15}
	}
	for _, p := range m.places {
		if u, err := disk.UsageWithContext(ctx, p.Path); err == nil {
			f.Disks = append(f.Disks, voiceassist.DiskFigures{
				Name: p.Name, SpaceFigures: voiceassist.SpaceFigures{Total: u.Total, Used: u.Used, Free: u.Free},
			})
		}
	}
	return f
}

// sampleEvery is the shortest time over which the use of processors means
// something.
const sampleEvery = time.Second

func (m *Machine) cpu(ctx context.Context) *voiceassist.CPUFigures {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if now.Sub(m.at) >= sampleEvery {
		next, ok := times(ctx)
		if ok && m.known {
			m.percent = busy(m.last, next)
		}
		m.last, m.known, m.at = next, ok, now
	}
	if !m.known {
		return nil
	}
	return &voiceassist.CPUFigures{Count: runtime.NumCPU(), Percent: m.percent}
}

func times(ctx context.Context) (cpu.TimesStat, bool) {
	all, err := cpu.TimesWithContext(ctx, false)
	if err != nil || len(all) == 0 {
		return cpu.TimesStat{}, false
	}
	return all[0], true
}

// busy is how much of the time between two looks the processors worked, in
// percent. Time of guests is in that of users already.
func busy(a, b cpu.TimesStat) float64 {
	idle := b.Idle + b.Iowait - a.Idle - a.Iowait
	total := idle + b.User + b.Nice + b.System + b.Irq + b.Softirq + b.Steal - a.User - a.Nice - a.System - a.Irq - a.Softirq - a.Steal
	if total <= 0 {
		return 0
	}
	return min(max(100*(1-idle/total), 0), 100)
}

func (m *Machine) process(ctx context.Context) voiceassist.ProcessFigures {
	f := voiceassist.ProcessFigures{
		Goroutines: runtime.NumGoroutine(), Uptime: time.Since(m.started), GoVersion: runtime.Version(),
	}
	p, err := process.NewProcessWithContext(ctx, int32(os.Getpid())) //nolint:gosec // ids of processes fit
	if err != nil {
		return f
	}
	if info, err := p.MemoryInfoWithContext(ctx); err == nil {
		f.RSS = &info.RSS
	}
	if n, err := p.NumFDsWithContext(ctx); err == nil {
		f.OpenFiles = new(int(n))
	}
	return f
}
