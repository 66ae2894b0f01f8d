package voiceassist_test

import (
	"maps"
	"testing"

	voiceassist "github.com/voiceassist/backend"
)

func TestQueueWeightsAreReadFromText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]voiceassist.QueueWeights{
		"interactive=8,default=4,bulk=2,maintenance=1": voiceassist.DefaultQueueWeights(),
		"bulk=1":                   {voiceassist.QueueBulk: 1},
		"default=3, interactive=9": {voiceassist.QueueDefault: 3, voiceassist.QueueInteractive: 9},
	} {
		var got voiceassist.QueueWeights
		if err := got.UnmarshalText([]byte(text)); err != nil || !maps.Equal(got, want) {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "bulk", "bulk=0", "bulk=-1", "bulk=101", "bulk=x", "slow=1", "bulk=1,bulk=2", "bulk=1,"} {
		var got voiceassist.QueueWeights
		if err := got.UnmarshalText([]byte(text)); err == nil || got != nil {
			t.Errorf("%q is %v, want it refused", text, got)
		}
	}
}
