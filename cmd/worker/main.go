// Command worker is the worker process type; see the Procfile.
package main

import (
	"os"

	"github.com/voiceassist/backend/cmd"
)

func main() {
	os.Exit(cmd.Process(cmd.RunWorker, cmd.NeedsWorker...))
}
