// Command api is the api process type; see the Procfile.
package main

import (
	"os"

	"github.com/voiceassist/backend/cmd"
)

func main() {
	os.Exit(cmd.Process(cmd.RunAPI, cmd.NeedsAPI...))
}
