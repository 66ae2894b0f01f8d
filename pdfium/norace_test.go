//go:build !race

package pdfium

const raceEnabled = false
