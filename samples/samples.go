// Package samples is the library that a first start loads, so that there is
// something to ask: short documents on different medical subjects, written for
// this program and free to use with it. They are no medical advice.
//
// The PDFs are set from the sources in gen.
package samples

import (
	"embed"

	voiceassist "github.com/voiceassist/backend"
)

// FS holds the documents under the filenames of Library.
//
//go:embed *.pdf *.md *.txt *.html
var FS embed.FS

// author is who the documents are by.
const author = "VoiceAssist samples"

// Library describes every document in FS, as an uploader would.
var Library = []voiceassist.DocumentMeta{
	{Filename: "nosebleed.pdf", Title: "Nosebleeds: first aid at home and when to seek help", SourceType: "note", Specialty: "otolaryngology", Author: author},
	{Filename: "type-2-diabetes-review.pdf", Title: "The yearly review in type 2 diabetes", SourceType: "guideline", Specialty: "endocrinology", Author: author},
	{Filename: "asthma-attack.pdf", Title: "Recognising and treating an asthma attack in adults", SourceType: "guideline", Specialty: "pulmonology", Author: author},
	{Filename: "heart-failure-self-care.pdf", Title: "Chronic heart failure: daily self-care", SourceType: "leaflet", Specialty: "cardiology", Author: author},
	{Filename: "home-blood-pressure.md", Title: "Measuring blood pressure at home", SourceType: "note", Specialty: "cardiology", Author: author},
	{Filename: "ear-infection-in-children.md", Title: "Acute middle ear infection in children", SourceType: "guideline", Specialty: "paediatrics", Author: author},
	{Filename: "migraine.md", Title: "Migraine in adults: acute treatment and prevention", SourceType: "note", Specialty: "neurology", Author: author},
	{Filename: "gastroenteritis-rehydration.txt", Title: "Acute gastroenteritis: rehydration at home", SourceType: "leaflet", Specialty: "gastroenterology", Author: author},
	{Filename: "iron-deficiency-anaemia.txt", Title: "Iron deficiency anaemia in adults", SourceType: "guideline", Specialty: "haematology", Author: author},
	{Filename: "preventing-falls.txt", Title: "Preventing falls in older people", SourceType: "note", Specialty: "geriatrics", Author: author},
	{Filename: "minor-burns.html", Title: "First aid and care for minor burns", SourceType: "leaflet", Specialty: "emergency medicine", Author: author},
	{Filename: "living-with-an-anticoagulant.html", Title: "Living with an anticoagulant", SourceType: "leaflet", Specialty: "haematology", Author: author},
	{Filename: "insomnia.html", Title: "Long-lasting insomnia in adults", SourceType: "guideline", Specialty: "psychiatry", Author: author},
}
