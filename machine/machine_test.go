package machine

import (
	"runtime"
	"testing"

	"github.com/shirou/gopsutil/v4/cpu"
)

func TestFiguresAreThoseOfThisMachine(t *testing.T) {
	t.Parallel()
	m := New(Place{"data", t.TempDir()}, Place{"gone", "/does/not/exist"})
	f := m.Figures(t.Context())
	if f.CPU == nil || f.CPU.Count != runtime.NumCPU() || f.CPU.Percent < 0 || f.CPU.Percent > 100 {
		t.Errorf("CPU %+v", f.CPU)
	}
	if f.Memory == nil || f.Memory.Total == 0 || f.Memory.Free > f.Memory.Total {
		t.Errorf("memory %+v", f.Memory)
	}
	if len(f.Disks) != 1 || f.Disks[0].Name != "data" || f.Disks[0].Total == 0 {
		t.Errorf("disks %+v, want the one that is there", f.Disks)
	}
	if f.Load == nil {
		t.Error("no load")
	}
	p := f.Process
	if p.RSS == nil || *p.RSS == 0 || p.OpenFiles == nil || *p.OpenFiles == 0 || p.Goroutines == 0 || p.Uptime <= 0 || p.GoVersion == "" {
		t.Errorf("process %+v", p)
	}
}

func TestProcessorsAreAsBusyAsTheyWorked(t *testing.T) {
	t.Parallel()
	begin := cpu.TimesStat{User: 100, System: 50, Idle: 1000, Iowait: 10}
	for _, c := range []struct {
		name string
		end  cpu.TimesStat
		want float64
	}{
		{"idle", cpu.TimesStat{User: 100, System: 50, Idle: 1009, Iowait: 11}, 0},
		{"half", cpu.TimesStat{User: 104, System: 51, Idle: 1005, Iowait: 10}, 50},
		{"all", cpu.TimesStat{User: 105, System: 55, Idle: 1000, Iowait: 10}, 100},
		{"no time has passed", begin, 0},
		{"a clock that went back", cpu.TimesStat{User: 1, Idle: 1}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := busy(begin, c.end); got != c.want {
				t.Errorf("busy = %v, want %v", got, c.want)
			}
		})
	}
}
