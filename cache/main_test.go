package cache_test

import (
	"os"
	"testing"

	"github.com/voiceassist/backend/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }
