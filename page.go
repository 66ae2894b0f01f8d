package voiceassist

// PageRange selects pages of a file, from 1; the zero value is all of them.
type PageRange struct{ First, Last int }
