package voiceassist

import "time"

// MachineFigures are what a machine has and uses, and this process on it. What
// could not be measured is nil.
type MachineFigures struct {
	CPU     *CPUFigures
	Memory  *SpaceFigures
	Load    *LoadFigures
	Disks   []DiskFigures // those that our data lies on, the most important first
	Process ProcessFigures
}

// CPUFigures are about all processors together.
type CPUFigures struct {
	Count   int
	Percent float64 // 0 to 100, since it was last measured
}

// SpaceFigures are in bytes. Free is what can still be had, which is less than
// Total - Used where some is reserved, and more where caches can be dropped.
type SpaceFigures struct {
	Total, Used, Free uint64
}

// LoadFigures are the averages of 1, 5 and 15 minutes.
type LoadFigures struct {
	One, Five, Fifteen float64
}

// DiskFigures are about the file system that holds a path.
type DiskFigures struct {
	Name string // what of ours lies there
	SpaceFigures
}

// ProcessFigures are about this process.
type ProcessFigures struct {
	RSS        *uint64 // resident bytes
	OpenFiles  *int
	Goroutines int
	Uptime     time.Duration
	GoVersion  string
}
