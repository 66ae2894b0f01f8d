package voiceassist

import (
	"fmt"
	"strconv"
	"strings"
)

// QueueWeights are the queues that a worker serves, each with how often it is
// looked at for each time a queue of weight 1 is. As text they are
// "interactive=8,bulk=2"; a queue that is left out is not served.
type QueueWeights map[Queue]int

// maxQueueWeight keeps the least urgent queue from being forgotten.
const maxQueueWeight = 100

// DefaultQueueWeights serve every queue as the registry has it.
func DefaultQueueWeights() QueueWeights {
	w := make(QueueWeights, len(Queues))
	for _, q := range Queues {
		w[q.Name] = q.Weight
	}
	return w
}

// UnmarshalText makes QueueWeights readable from the environment.
func (w *QueueWeights) UnmarshalText(text []byte) error {
	known, parsed := DefaultQueueWeights(), make(QueueWeights)
	for part := range strings.SplitSeq(string(text), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(part), "=")
		q := Queue(name)
		n, err := strconv.Atoi(weight)
		switch {
		case known[q] == 0:
			return fmt.Errorf("there is no queue %q", name)
		case err != nil || n < 1 || n > maxQueueWeight:
			return fmt.Errorf("the weight of %s is not a number from 1 to %d", name, maxQueueWeight)
		case parsed[q] != 0:
			return fmt.Errorf("%s is there twice", name)
		}
		parsed[q] = n
	}
	*w = parsed
	return nil
}
