// Command child reads documents for the tests of package extract. They build it
// without the race detector, under which PDFium takes 22 s to start.
package main

import (
	"context"
	"fmt"
	"os"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/extract"
	"github.com/voiceassist/backend/pdfium"
)

func main() { os.Exit(run()) }

func run() int {
	pdf, err := pdfium.New(pdfium.Options{CacheDir: os.Getenv("PDFIUM_CACHE")})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	engines := extract.Engines()
	engines[voiceassist.MediaPDF] = pdf
	if err := extract.Serve(context.Background(), engines, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
