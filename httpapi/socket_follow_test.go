package httpapi

import (
	"testing"
	"testing/synctest"

	"github.com/google/uuid"

	voiceassist "github.com/voiceassist/backend"
)

func TestAnAnswerAskedForAgainWhileItsEndIsToldIsToldAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newSocket(&sockets{s: &Server{}}, nil)
		k.out = make(chan []byte) // nothing is sent before it is taken
		a := ended(uuid.New(), voiceassist.Message{ID: uuid.New(), Status: voiceassist.MessageComplete}, 0)
		k.follow(a, 0)
		synctest.Wait() // the last frame is on its way
		k.follow(a, 0)
		synctest.Wait()
		for i := range 2 {
			select {
			case <-k.out:
			default:
				t.Errorf("the end was told %d times, want 2", i)
			}
			synctest.Wait()
		}
		k.cancel()
		k.wg.Wait()
		if len(k.following) != 0 || k.followers != 0 {
			t.Errorf("%d answers are followed by %d, want none", len(k.following), k.followers)
		}
	})
}
