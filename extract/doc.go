// Package extract reads the text out of files, each in a child process that can
// be lost: a file may crash, hang or bloat the engine that reads it, and a Go
// stack overflow or an exhausted memory cannot be recovered from inside.
//
// The parent holds a Pool. The children are this same program started again
// with an argument of its own, which calls Serve with the engines it has. They
// talk in frames over the child's standard input and output:
//
//	child   hello    the engines' names by media type
//	parent  request  media type, path, range of pages
//	child   page     one per page, in order
//	child   done | failure | trouble | panic
//
// A child reads one document at a time and then waits for the next. It dies
// with its parent, whatever the parent dies of.
//
// The engines for text, Markdown and HTML are here, too; those for PDF are in
// packages pdfium and unipdf. Sniff tells which engine a file is for.
package extract
