// Package pdfium reads the text out of PDF files with PDFium, compiled to
// WebAssembly and run by wazero: no cgo, and no way out of the sandbox, which
// is given no files.
//
// PDFium tells the characters of a page with their boxes; package layout makes
// paragraphs in reading order of them.
package pdfium
