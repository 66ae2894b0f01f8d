package voiceassist

// GateReason is why a gate is shut, or a request refused at it.
type GateReason string

// The reasons.
const (
	GatePacedReason   GateReason = "paced"   // the service asked to come back later
	GateFailingReason GateReason = "failing" // it failed too often in a row
	GateProbingReason GateReason = "probing" // one request is finding out whether it works again
	GateFullReason    GateReason = "full"    // as much as it may be asked is asked already
)

// Sentence says what a reason means to who waits for an embedding.
func (r GateReason) Sentence() string {
	switch r {
	case GatePacedReason:
		return "the embedding service asks to wait"
	case GateFailingReason:
		return "the embedding service does not work"
	case GateProbingReason:
		return "it is being found out whether the embedding service works again"
	case GateFullReason:
		return "the limit of what is asked of the embedding service per minute is reached"
	}
	return ""
}
