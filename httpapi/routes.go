package httpapi

// routes is every route there is, by resource. rewrite.go has the names under
// which clients may know them besides.
func (s *Server) routes() {
	s.healthRoutes()
	s.signInRoutes()
	s.userRoutes()
	s.libraryRoutes()
	s.libraryAdminRoutes()
	s.conversationRoutes()
	s.folderRoutes()
	s.fileRoutes()
	s.clinicalRoutes()
	s.socketRoutes()
	s.panelRoutes()
	s.auditRoutes()
	s.systemRoutes()
	s.cacheRoutes()
	s.flagRoutes()
	s.voiceRoutes()
	s.integrationRoutes()
}

func (s *Server) healthRoutes() {
	sec := section{s, "Health"}
	get(sec, "/", anyone, "What this is", s.root)
	get(sec, "/health", anyone, "Is the process alive?", s.health, limitedBy(rateHealth))
	get(sec, "/live", anyone, "Is the process alive?", s.health, limitedBy(rateNone))
	raw(sec, "GET", "/ready", anyone, "Do the dependencies answer?", s.ready, limitedBy(rateReady))
	raw(sec, "GET", "/metrics", anyone, "Figures for Prometheus", s.metricsPage(), limitedBy(rateNone), produces("text/plain"))
	raw(sec, "GET", "/openapi.json", anyone, "This document", s.openAPI())
}

func (s *Server) signInRoutes() {
	sec := section{s, "Accounts"}
	post(sec, "/api/auth/register", anyone, "Create an account", s.register, status(201), limitedBy(rateRegister))
	post(sec, "/api/auth/login", anyone, "Sign in", s.login, limitedBy(rateLogin))
	post(sec, "/api/auth/refresh", anyone, "Spend a refresh token for new tokens", s.refresh, limitedBy(rateNone))
	post(sec, "/api/auth/logout", anyone, "End the session", s.logout, limitedBy(rateNone))
	get(sec, "/api/auth/me", signedIn, "Who am I?", s.me)
}

func (s *Server) userRoutes() {
	sec := section{s, "Users"}
	get(sec, "/api/users/me", signedIn, "Who am I?", s.me)
}

func (s *Server) libraryRoutes() {
	sec := section{s, "Knowledge base"}
	get(sec, "/api/kb/documents", signedIn, "List documents", s.listDocuments)
	get(sec, "/api/kb/documents/{id}", signedIn, "A document", s.getDocument)
	get(sec, "/api/kb/documents/{id}/text", signedIn, "The stored text of a page", s.pageText)
	post(sec, "/api/kb/search", signedIn, "Search passages", s.search)
}

func (s *Server) libraryAdminRoutes() {
	sec := section{s, "Knowledge base administration"}
	get(sec, "/api/admin/kb/documents", viewer, "List documents", s.listDocuments)
	get(sec, "/api/admin/kb/documents/{id}", viewer, "A document", s.getDocument)
	patch(sec, "/api/admin/kb/documents/{id}", admin, "Change what is said of a document", s.updateDocument, fails(404, 409, 422))
	get(sec, "/api/admin/kb/documents/{id}/passages", viewer, "The text as indexed", s.listPassages)
	raw(sec, "GET", "/api/admin/kb/documents/{id}/file", viewer, "The original", s.original, withCookie, produces("application/octet-stream"))
	raw(sec, "POST", "/api/admin/kb/documents", admin, "Upload a document", s.upload, takesForm(uploadForm...), status(202))
	raw(sec, "POST", "/api/admin/kb/upload", admin, "Upload a document", s.upload, takesForm(uploadForm...), status(202))
	raw(sec, "POST", "/api/kb/documents", admin, "Upload a document", s.upload, takesForm(uploadForm...), status(202))
	post(sec, "/api/admin/kb/documents/{id}/reindex", admin, "Index a document again", s.reindexDocument, status(202))
	post(sec, "/api/admin/kb/reindex", admin, "Index documents again", s.reindex, status(202))
	del(sec, "/api/admin/kb/documents/{id}", admin, "Delete a document", s.deleteDocument)
	get(sec, "/api/admin/kb/jobs", viewer, "List jobs", s.listJobs)
	get(sec, "/api/admin/kb/jobs/{id}", viewer, "A job with its timeline", s.getJob)
	post(sec, "/api/admin/kb/jobs/{id}/cancel", admin, "Cancel a job", s.cancelJob)
	post(sec, "/api/admin/kb/jobs/{id}/retry", admin, "Run a failed job again", s.retryJob)
	get(sec, "/api/admin/kb/stats", viewer, "Figures of the knowledge base", s.libraryStats)
	raw(sec, "DELETE", "/api/admin/kb/{id<guid>}", admin, "Delete a document (v1)", s.deleteDocumentV1)
}

func (s *Server) conversationRoutes() {
	sec := section{s, "Conversations"}
	get(sec, "/api/conversations", signedIn, "List conversations", s.listConversations)
	post(sec, "/api/conversations", signedIn, "Begin a conversation", s.createConversation, status(201))
	get(sec, "/api/conversations/{id}", signedIn, "A conversation", s.getConversation)
	put(sec, "/api/conversations/{id}", signedIn, "Change a conversation", s.updateConversation)
	patch(sec, "/api/conversations/{id}", signedIn, "Change a conversation", s.updateConversation)
	del(sec, "/api/conversations/{id}", signedIn, "Delete a conversation", s.deleteConversation)
	get(sec, "/api/conversations/{id}/messages", signedIn, "The messages of a branch", s.listMessages)
	get(sec, "/api/citations/{id}", signedIn, "A citation with the passage it quotes", s.getCitation)
}

// Folders, sharing and export of conversations.
func (s *Server) folderRoutes() {
}

// Files, and attachments of messages.
func (s *Server) fileRoutes() {
}

// Clinical contexts and presets.
func (s *Server) clinicalRoutes() {
}

func (s *Server) socketRoutes() {
	sec := section{s, "Chat socket"}
	raw(sec, "GET", "/ws", anyone, "The chat socket", s.sockets.handler(), limitedBy(rateNone))
}

// The admin panel: its figures, and users as it sees them.
func (s *Server) panelRoutes() {
}

func (s *Server) auditRoutes() {
}

// Resources, services, and the pages of asynqmon.
func (s *Server) systemRoutes() {
	sec := section{s, "System"}
	for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
		raw(sec, method, jobsUI, viewer, "asynqmon", s.jobsPage(), withCookie, produces("text/html"))
		raw(sec, method, jobsUI+"/*", viewer, "asynqmon", s.jobsPage(), withCookie, produces("text/html"))
	}
}

func (s *Server) cacheRoutes() {
	sec := section{s, "Cache"}
	get(sec, "/api/admin/cache/stats", viewer, "Figures of the cache", s.cacheStats, fails(503))
	get(sec, "/api/admin/cache/stats/namespaces", viewer, "Figures by kind of value", s.cacheNamespaces, fails(503))
	post(sec, "/api/admin/cache/clear", admin, "Forget everything that is cached", s.clearCache, fails(503))
	post(sec, "/api/admin/cache/invalidate", admin, "Forget the keys that match a pattern", s.invalidateCache, fails(422, 503))
	post(sec, "/api/admin/cache/invalidate/namespace", admin, "Forget one kind of value", s.invalidateNamespace, fails(404, 422, 503))
}

func (s *Server) flagRoutes() {
}

func (s *Server) voiceRoutes() {
	sec := section{s, "Voice"}
	post(sec, "/api/voice/session", signedIn, "Begin to speak", s.startVoice, status(201), fails(404, 422, 503))
	raw(sec, "POST", "/api/voice/audio", signedIn, "Send a recording", s.sendAudio, takesForm(audioForm...), status(202), fails(413, 415, 422, 503))
	get(sec, "/api/voice/audio/{id}", signedIn, "What was said in a recording", s.getAudio, fails(404))
	post(sec, "/api/voice/transcribe", signedIn, "Write down what is said", s.transcribe, takes(maxTranscribeBytes), fails(413, 415, 422, 503))
	post(sec, "/api/voice/synthesize", signedIn, "Speak a text", s.synthesize, produces("audio/mpeg"), fails(422, 503))
	get(sec, "/api/voice/voices", signedIn, "Voices that can speak", s.listVoices, fails(503))
	post(sec, "/api/voice/relay", signedIn, "Answer what was said", s.relayVoice, fails(404, 422, 503))
}

// Calendars and files of a Nextcloud.
func (s *Server) integrationRoutes() {
	sec := section{s, "Integrations"}
	get(sec, "/api/integrations/calendar/events", signedIn, "Appointments", s.listEvents, fails(422, 503))
	post(sec, "/api/integrations/calendar/events", signedIn, "Make an appointment", s.createEvent, status(201), fails(422, 503))
	put(sec, "/api/integrations/calendar/events/{uid}", signedIn, "Change an appointment", s.updateEvent, fails(404, 422, 503))
	del(sec, "/api/integrations/calendar/events/{uid}", signedIn, "Cancel an appointment", s.deleteEvent, fails(404, 503))
	get(sec, "/api/integrations/files/discover", viewer, "Files that could be indexed", s.discoverFiles, fails(422, 503))
	post(sec, "/api/integrations/files/index", admin, "Index files", s.indexFiles, status(202), fails(422, 503))
	post(sec, "/api/integrations/files/scan-and-index", admin, "Index all files of a folder", s.scanFiles, status(202), fails(422, 503))
}
