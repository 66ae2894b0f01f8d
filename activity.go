package voiceassist

// Activity is what goes on at a moment, over all processes.
type Activity struct {
	Users       int           // accounts that are active
	ActiveUsers int           // of them, those with a session that was used in the last half hour
	Pending     map[Queue]int // jobs not started
	Running     map[Queue]int
}
