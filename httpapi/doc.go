// Package httpapi is the HTTP face of VoiceAssist: handlers by resource, all
// routes on one screen (routes.go), one function that writes replies (reply.go)
// and one that writes errors (failure.go).
//
// A request passes through the edge (edge.go: ids, aliases, CORS, recovery, the
// log event), is routed by Fiber, let in or refused by its operation
// (operation.go: who may, how often), parsed and validated by huma, and handled
// by a function of its typed input. What the handler returns is put into the
// envelope that all clients read, or printed as the v1 guide prints it when the
// path began with /v1.
package httpapi
