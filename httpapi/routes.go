package httpapi

// routes is every route there is. rewrite.go has the names under which clients
// may know them besides.
func (s *Server) routes() {
	health := section{s, "Health"}
	get(health, "/", anyone, "What this is", s.root)
	get(health, "/health", anyone, "Is the process alive?", s.health, limitedBy(rateHealth))
	get(health, "/live", anyone, "Is the process alive?", s.health, limitedBy(rateNone))
	s.raw("GET", "/ready", anyone, s.ready, limitedBy(rateReady))
	s.raw("GET", "/metrics", anyone, s.metricsPage(), limitedBy(rateNone))
	s.raw("GET", "/openapi.json", anyone, s.openAPI())

	accounts := section{s, "Accounts"}
	post(accounts, "/api/auth/register", anyone, "Create an account", s.register, status(201), limitedBy(rateRegister))
	post(accounts, "/api/auth/login", anyone, "Sign in", s.login, limitedBy(rateLogin))
	post(accounts, "/api/auth/refresh", anyone, "Spend a refresh token for new tokens", s.refresh, limitedBy(rateNone))
	post(accounts, "/api/auth/logout", anyone, "End the session", s.logout, limitedBy(rateNone))
	get(accounts, "/api/auth/me", signedIn, "Who am I?", s.me)
	get(accounts, "/api/users/me", signedIn, "Who am I?", s.me)

	library := section{s, "Knowledge base"}
	get(library, "/api/kb/documents", signedIn, "List documents", s.listDocuments)
	get(library, "/api/kb/documents/{id}", signedIn, "A document", s.getDocument)
	get(library, "/api/kb/documents/{id}/text", signedIn, "The stored text of a page", s.pageText)
	post(library, "/api/kb/search", signedIn, "Search passages", s.search)

	adminLibrary := section{s, "Knowledge base administration"}
	get(adminLibrary, "/api/admin/kb/documents", viewer, "List documents", s.listDocuments)
	get(adminLibrary, "/api/admin/kb/documents/{id}", viewer, "A document", s.getDocument)
	get(adminLibrary, "/api/admin/kb/documents/{id}/passages", viewer, "The text as indexed", s.listPassages)
	s.raw("GET", "/api/admin/kb/documents/{id}/file", viewer, s.original, withCookie)
	s.raw("POST", "/api/admin/kb/documents", admin, s.upload)
	s.raw("POST", "/api/admin/kb/upload", admin, s.upload)
	s.raw("POST", "/api/kb/documents", admin, s.upload)
	post(adminLibrary, "/api/admin/kb/documents/{id}/reindex", admin, "Index a document again", s.reindexDocument, status(202))
	post(adminLibrary, "/api/admin/kb/reindex", admin, "Index documents again", s.reindex, status(202))
	del(adminLibrary, "/api/admin/kb/documents/{id}", admin, "Delete a document", s.deleteDocument)
	get(adminLibrary, "/api/admin/kb/jobs", viewer, "List jobs", s.listJobs)
	get(adminLibrary, "/api/admin/kb/jobs/{id}", viewer, "A job with its timeline", s.getJob)
	post(adminLibrary, "/api/admin/kb/jobs/{id}/cancel", admin, "Cancel a job", s.cancelJob)
	post(adminLibrary, "/api/admin/kb/jobs/{id}/retry", admin, "Run a failed job again", s.retryJob)
	get(adminLibrary, "/api/admin/kb/stats", viewer, "Figures of the knowledge base", s.libraryStats)
	s.raw("DELETE", "/api/admin/kb/{id<guid>}", admin, s.deleteDocumentV1)

	chat := section{s, "Conversations"}
	get(chat, "/api/conversations", signedIn, "List conversations", s.listConversations)
	post(chat, "/api/conversations", signedIn, "Begin a conversation", s.createConversation, status(201))
	get(chat, "/api/conversations/{id}", signedIn, "A conversation", s.getConversation)
	put(chat, "/api/conversations/{id}", signedIn, "Change a conversation", s.updateConversation)
	patch(chat, "/api/conversations/{id}", signedIn, "Change a conversation", s.updateConversation)
	del(chat, "/api/conversations/{id}", signedIn, "Delete a conversation", s.deleteConversation)
	get(chat, "/api/conversations/{id}/messages", signedIn, "The messages of a branch", s.listMessages)
	get(chat, "/api/citations/{id}", signedIn, "A citation with the passage it quotes", s.getCitation)
	s.raw("GET", "/ws", anyone, s.sockets.handler(), limitedBy(rateNone))

	for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
		s.raw(method, jobsUI, viewer, s.jobsPage(), withCookie)
		s.raw(method, jobsUI+"/*", viewer, s.jobsPage(), withCookie)
	}
}
