package system

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is what processes have used.
type Usage struct {
	CPU    time.Duration
	PeakMB int // resident; of several processes the most at one moment
}

// proc is a process as /proc shows it.
type proc struct {
	pid, parent int
	cpu         time.Duration // its own
	waited      time.Duration // of children that have ended and were waited for
	anon, shmem int           // KB resident: its own memory, and what it shares
	resident    int           // KB
}

// tick is the unit of times in /proc on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// processes returns all processes by id. One that ends meanwhile is left out.
func processes() map[int]proc {
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is good
	all := make(map[int]proc, len(dirs))
	for _, dir := range dirs {
		if p, ok := readProc(dir); ok {
			all[p.pid] = p
		}
	}
	return all
}

func readProc(dir string) (p proc, ok bool) {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return p, false
	}
	// The name, in parentheses, may hold anything.
	name := strings.LastIndexByte(string(stat), ')')
	fields := strings.Fields(string(stat[name+1:]))
	if name < 0 || len(fields) < 15 {
		return p, false
	}
	number := func(i int) int { n, _ := strconv.Atoi(fields[i]); return n }
	p.pid, _ = strconv.Atoi(filepath.Base(dir))
	p.parent = number(1)
	p.cpu = time.Duration(number(11)+number(12)) * tick
	p.waited = time.Duration(number(13)+number(14)) * tick
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return p, false
	}
	p.resident, p.anon, p.shmem = kb(status, "VmRSS"), kb(status, "RssAnon"), kb(status, "RssShmem")
	return p, true
}

// kb reads a figure of a status file; 0 where it is missing.
func kb(status []byte, name string) int {
	_, after, ok := strings.Cut(string(status), "\n"+name+":")
	fields := strings.Fields(after)
	if !ok || len(fields) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(fields[0])
	return n
}

// Family is a process with all that descend from it.
type Family struct {
	Name  string
	PID   int
	Alone bool // without its descendants
}

// Meter follows families of processes.
type Meter struct {
	families []Family
	begun    map[string]Usage
	usage    map[string]Usage
	done     chan struct{}
	cancel   context.CancelFunc
}

const meterEvery = 250 * time.Millisecond

// StartMeter measures families until Stop. For the family of a worker it keeps
// two accounts: of the process itself and, as "NAME's readers", of its
// children; Postgres, whose processes share most of their memory, is counted as
// the memory that each has alone and what they share, once.
func StartMeter(ctx context.Context, families ...Family) *Meter {
	m := &Meter{families: families, usage: make(map[string]Usage), done: make(chan struct{})}
	m.look()
	m.begun = maps.Clone(m.usage)
	ctx, m.cancel = context.WithCancel(ctx)
	go func() {
		defer close(m.done)
		timer := time.NewTicker(meterEvery)
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
				m.look()
			}
		}
	}()
	return m
}

// Stop returns what each family has used since the start, by name.
func (m *Meter) Stop() map[string]Usage {
	m.cancel()
	<-m.done
	m.look()
	for name, u := range m.usage {
		u.CPU -= m.begun[name].CPU
		m.usage[name] = u
	}
	return m.usage
}

// Readers is the name of the account of a process's children.
func Readers(name string) string { return name + "'s readers" }

// PostgresFamily is the name under which Postgres is measured.
const PostgresFamily = "postgres"

func (m *Meter) look() {
	all := processes()
	for _, f := range m.families {
		root, ok := all[f.PID]
		if !ok {
			continue
		}
		children := descendants(all, f.PID)
		if f.Name == PostgresFamily {
			m.note(f.Name, root.cpu+root.waited+cpuOf(children), sharedMemory(append(children, root)))
			continue
		}
		m.note(f.Name, root.cpu, root.resident)
		if f.Alone || len(children) == 0 && m.usage[Readers(f.Name)] == (Usage{}) {
			continue
		}
		resident := 0
		for _, c := range children {
			resident += c.resident
		}
		m.note(Readers(f.Name), root.waited+cpuOf(children), resident)
	}
}

func (m *Meter) note(name string, cpu time.Duration, residentKB int) {
	u := m.usage[name]
	m.usage[name] = Usage{CPU: cpu, PeakMB: max(u.PeakMB, residentKB>>10)}
}

func descendants(all map[int]proc, pid int) []proc {
	var found []proc
	for _, p := range all {
		for up := p.parent; up > 1; up = all[up].parent {
			if up == pid {
				found = append(found, p)
				break
			}
		}
	}
	return found
}

func cpuOf(some []proc) (sum time.Duration) {
	for _, p := range some {
		sum += p.cpu + p.waited
	}
	return sum
}

// sharedMemory is the memory of processes that share some, in KB.
func sharedMemory(some []proc) int {
	sum, shared := 0, 0
	for _, p := range some {
		sum += p.anon
		shared = max(shared, p.shmem)
	}
	return sum + shared
}
