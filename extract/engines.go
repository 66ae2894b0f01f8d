package extract

import voiceassist "github.com/voiceassist/backend"

// Engines returns the engines of this package by media type: text, Markdown and
// HTML.
func Engines() map[string]voiceassist.TextEngine {
	return map[string]voiceassist.TextEngine{
		voiceassist.MediaText:     Plain{},
		voiceassist.MediaMarkdown: Markdown{},
		voiceassist.MediaHTML:     HTML{},
	}
}
