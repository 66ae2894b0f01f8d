//go:build race

package main

// raceEnabled: under the race detector PDFium takes 22 s to start.
const raceEnabled = true
