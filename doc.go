// Package voiceassist is the vocabulary of the VoiceAssist backend: the types,
// state machines, error codes and seams that every other package speaks in.
//
// The system in one breath: a thin API accepts documents and streams answers;
// workers turn documents into pages, pages into passages and passages into
// points of a search index; Postgres is the ledger, Redis only wakes workers,
// and the index is a projection that can be rebuilt from the ledger.
//
// This package imports the standard library and uuid only. Packages named
// after a technology (postgres, redis, qdrant, openai, pdfium, …) adapt it;
// httpapi, pipeline and rag hold the three halves of the program and never
// import one another; everything meets in package cmd.
package voiceassist

// Version is the version of the API and of the program, as /health tells it.
const Version = "2.0.0"
