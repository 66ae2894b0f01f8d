package httpapi

import voiceassist "github.com/voiceassist/backend"

// routes is every route there is, by resource. rewrite.go has the names under
// which clients may know them besides.
func (s *Server) routes() {
	s.healthRoutes()
	s.signInRoutes()
	s.userRoutes()
	s.libraryRoutes()
	s.libraryAdminRoutes()
	s.batchRoutes()
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
	raw(sec, "GET", "/ready", anyone, "Do the dependencies answer?", s.ready, limitedBy(rateReady), replies[readyBody](200), replies[readyBody](503))
	raw(sec, "GET", "/metrics", anyone, "Figures for Prometheus", s.metricsPage(), limitedBy(rateNone), produces("text/plain"))
	raw(sec, "GET", "/openapi.json", anyone, "This document", s.openAPI(), produces("application/json"))
	raw(sec, "GET", "/asyncapi.json", anyone, "The sockets and event streams (AsyncAPI 3.0)", page("asyncapi.json"), produces("application/json"))
	s.pageRoutes(section{s, "Pages"})
}

// The pages that show the description of the API.
func (s *Server) pageRoutes(sec section) {
	raw(sec, "GET", "/docs", anyone, "Swagger UI", page("docs.html"), produces("text/html"))
	raw(sec, "GET", "/docs/docs.js", anyone, "What Swagger UI loads", page("docs.js"), produces("text/javascript"))
	raw(sec, "GET", "/docs/swagger-ui.css", anyone, "What Swagger UI loads", swaggerUI("swagger-ui.css"), produces("text/css"))
	raw(sec, "GET", "/docs/swagger-ui-bundle.js", anyone, "What Swagger UI loads", swaggerUI("swagger-ui-bundle.js"), produces("text/javascript"))
	raw(sec, "GET", "/docs/favicon-32x32.png", anyone, "What the pages load", swaggerUI("favicon-32x32.png"), produces("image/png"))
	raw(sec, "GET", "/redoc", anyone, "ReDoc", page("redoc.html"), produces("text/html"))
	raw(sec, "GET", "/redoc/redoc.standalone.js", anyone, "What ReDoc loads", page("redoc.standalone.js"), produces("text/javascript"))
}

func (s *Server) signInRoutes() {
	sec := section{s, "Accounts"}
	post(sec, "/api/auth/register", anyone, "Create an account", s.register, status(201), limitedBy(rateRegister), fails(403, 409))
	post(sec, "/api/auth/login", anyone, "Sign in", s.login, limitedBy(rateLogin), fails(401, 403))
	post(sec, "/api/auth/refresh", anyone, "Spend a refresh token for new tokens", s.refresh, limitedBy(rateNone), fails(401, 429))
	post(sec, "/api/auth/logout", anyone, "End the session", s.logout, limitedBy(rateNone), fails(401, 429))
	get(sec, "/api/auth/me", signedIn, "Who am I?", s.me)
	get(sec, "/api/auth/session", signedIn, "When does the session end?", s.session, inSession)
	post(sec, "/api/auth/forgot-password", anyone, "Ask for a link to choose a new password", s.forgotPassword, limitedBy(rateReset))
	post(sec, "/api/auth/reset-password", anyone, "Choose a new password with a link", s.resetPassword, limitedBy(rateReset))
	post(sec, "/api/auth/accept-invitation", anyone, "Create the account that an invitation offers", s.acceptInvitation, status(201), fails(403, 409), limitedBy(rateLogin))
	post(sec, "/api/users/me/change-password", signedIn, "Change the password", s.changePassword, inSession)
	put(sec, "/api/users/me/password", signedIn, "Change the password", s.changePassword, inSession)
	get(sec, "/api/auth/2fa/status", signedIn, "Is there a second factor?", s.factorStatus, inSession)
	post(sec, "/api/auth/2fa/setup", signedIn, "Begin to set up a second factor", s.setUpFactor, fails(409), inSession)
	post(sec, "/api/auth/2fa/verify", signedIn, "Enable the second factor with its first code", s.enableFactor, fails(409), inSession)
	post(sec, "/api/auth/2fa/disable", signedIn, "Remove the second factor", s.disableFactor, fails(409), inSession)
	post(sec, "/api/auth/2fa/backup-codes", signedIn, "Replace the backup codes", s.newBackupCodes, fails(409), inSession)
	post(sec, "/api/auth/2fa/verify-login", anyone, "Sign in with the second factor", s.verifyLogin, fails(401, 403), limitedBy(rateLogin))
	get(sec, "/api/auth/api-keys", signedIn, "List API keys", s.listAPIKeys, inSession)
	post(sec, "/api/auth/api-keys", signedIn, "Create an API key", s.createAPIKey, status(201), fails(409), inSession)
	del(sec, "/api/auth/api-keys/{id}", signedIn, "End an API key", s.deleteAPIKey, fails(404), inSession)
}

func (s *Server) userRoutes() {
	sec := section{s, "Users"}
	get(sec, "/api/users/me", signedIn, "Who am I?", s.me)
	put(sec, "/api/users/me", signedIn, "Change one's own profile", s.updateMe, fails(409), inSession)
	del(sec, "/api/users/me", signedIn, "Delete one's own account", s.deleteMe, fails(409), inSession)
	get(sec, "/api/users", admin, "List users", s.listUsers)
	get(sec, "/api/users/{id}", signedIn, "A user; for others than admins, oneself", s.getUser, fails(403, 404))
	patch(sec, "/api/users/{id}", signedIn, "Change a user; for others than admins, oneself", s.patchUser, fails(400, 403, 404, 409))
	del(sec, "/api/users/{id}", admin, "Delete a user", s.deleteUser, fails(400, 404, 409))
	put(sec, "/api/users/{id}/activate", admin, "Let a user sign in; takes a deletion back", s.changeTo(activation), fails(400, 404))
	put(sec, "/api/users/{id}/deactivate", admin, "Shut a user out", s.changeTo(deactivation), fails(400, 404, 409))
	put(sec, "/api/users/{id}/promote-admin", admin, "Make a user an admin", s.changeTo(promotion), fails(400, 404))
	put(sec, "/api/users/{id}/revoke-admin", admin, "Make a user of an admin", s.changeTo(revocation), fails(400, 404, 409))
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
	get(sec, "/api/admin/kb/documents/deleted", viewer, "Deleted documents that can be brought back", s.listDeleted) // before {id}, which deleted would be
	get(sec, "/api/admin/kb/documents/{id}", viewer, "A document", s.getDocument)
	patch(sec, "/api/admin/kb/documents/{id}", admin, "Change what is said of a document", s.updateDocument, fails(404, 409, 422))
	get(sec, "/api/admin/kb/documents/{id}/timeline", viewer, "What the jobs of a document have done", s.documentTimeline)
	get(sec, "/api/admin/kb/documents/{id}/passages", viewer, "The text as indexed", s.listPassages)
	raw(sec, "GET", "/api/admin/kb/documents/{id}/file", viewer, "The original", s.original, withCookie, produces("*/*"))
	raw(sec, "POST", "/api/admin/kb/documents", admin, "Upload a document", s.upload, takesForm(uploadForm...), takesQuery(uploadForm[1:]...), status(202), replies[twins[uploadedBody]](202))
	raw(sec, "POST", "/api/admin/kb/upload", admin, "Upload a document", s.upload, takesForm(uploadForm...), takesQuery(uploadForm[1:]...), status(202), replies[twins[uploadedBody]](202))
	raw(sec, "POST", "/api/kb/documents", admin, "Upload a document", s.upload, takesForm(uploadForm...), takesQuery(uploadForm[1:]...), status(202), replies[twins[uploadedBody]](202))
	post(sec, "/api/admin/kb/documents/{id}/reindex", admin, "Index a document again", s.reindexDocument, status(202))
	post(sec, "/api/admin/kb/reindex", admin, "Index documents again", s.reindex, status(202))
	del(sec, "/api/admin/kb/documents/{id}", admin, "Delete a document", s.deleteDocument)
	post(sec, "/api/admin/kb/documents/{id}/restore", admin, "Bring a deleted document back", s.restoreDocument, status(202), fails(404, 409, 410))
	get(sec, "/api/admin/kb/verify", viewer, "The last comparison of ledger, index, files and queue", s.lastVerification)
	post(sec, "/api/admin/kb/verify", admin, "Compare ledger, index, files and queue", s.requestVerification, status(202), fails(409))
	get(sec, "/api/admin/kb/jobs", viewer, "List jobs", s.listJobs)
	get(sec, "/api/admin/kb/jobs/{id}", viewer, "A job with its timeline", s.getJob)
	post(sec, "/api/admin/kb/jobs/{id}/cancel", admin, "Cancel a job", s.cancelJob)
	post(sec, "/api/admin/kb/jobs/{id}/retry", admin, "Run a failed job again", s.retryJob)
	get(sec, "/api/admin/kb/stats", viewer, "Figures of the knowledge base", s.libraryStats)
	raw(sec, "DELETE", "/api/admin/kb/{id<guid>}", admin, "Delete a document (v1)", s.deleteDocumentV1, replies[deletedBody](200))
}

// Loads of many files.
func (s *Server) batchRoutes() {
	sec := section{s, "Batches"}
	const at = "/api/admin/kb/batches"
	get(sec, at, viewer, "List batches", s.listBatches)
	post(sec, at, admin, "Open a batch, with a manifest or without", s.openBatch, status(201), takes(maxManifestBytes))
	get(sec, at+"/{id}", viewer, "A batch with its account", s.getBatch, fails(404))
	post(sec, at+"/{id}/manifest", admin, "List more files of a batch", s.extendBatch, takes(maxManifestBytes), fails(404, 409))
	get(sec, at+"/{id}/files", viewer, "The files of a batch and their fates", s.listBatchFiles, fails(404))
	raw(sec, "POST", at+"/{id}/files", admin, "Upload a file of a batch", s.uploadToBatch, takesForm(batchForm...), takesQuery(batchQuery...),
		status(202), replies[twins[uploadedBody]](202), fails(404, 409))
	raw(sec, "GET", at+"/{id}/files.csv", viewer, "The files of a batch and their fates, as a file", s.exportBatch, withCookie, produces("text/csv"), fails(404))
	post(sec, at+"/{id}/pause", admin, "Begin no more work on a batch; files may still come", s.changeBatch("batch.paused", Batches.PauseBatch), fails(404, 409))
	post(sec, at+"/{id}/resume", admin, "Go on with a paused batch", s.changeBatch("batch.resumed", Batches.ResumeBatch), fails(404, 409))
	post(sec, at+"/{id}/cancel", admin, "Cancel what is unfinished of a batch; what is indexed stays", s.changeBatch("batch.cancelled", Batches.CancelBatch), fails(404, 409), lasting(answerTimeout))
	post(sec, at+"/{id}/retry", admin, "Run again what failed or was cancelled of a batch", s.retryBatch, fails(404, 409), lasting(answerTimeout))
	post(sec, at+"/{id}/close", admin, "No more files come", s.changeBatch("batch.closed", Batches.CloseBatch), fails(404, 409))
}

func (s *Server) conversationRoutes() {
	sec := section{s, "Conversations"}
	get(sec, "/api/conversations", signedIn, "List conversations", s.listConversations)
	post(sec, "/api/conversations", signedIn, "Begin a conversation", s.createConversation, status(201))
	get(sec, "/api/conversations/{id}", signedIn, "A conversation", s.getConversation)
	del(sec, "/api/conversations/all", signedIn, "Delete all conversations", s.deleteConversations) // before {id}, which all would be
	put(sec, "/api/conversations/{id}", signedIn, "Change a conversation", s.updateConversation)
	patch(sec, "/api/conversations/{id}", signedIn, "Change a conversation", s.updateConversation)
	del(sec, "/api/conversations/{id}", signedIn, "Delete a conversation", s.deleteConversation)
	get(sec, "/api/conversations/{id}/branches", signedIn, "The branches of a conversation", s.listBranches)
	post(sec, "/api/conversations/{id}/branches", signedIn, "Fork a conversation after a message", s.createBranch, status(201), fails(404, 409))
	get(sec, "/api/conversations/{id}/branches/{bid}/messages", signedIn, "The messages of a branch", s.listBranchMessages)
	get(sec, "/api/conversations/{id}/messages", signedIn, "The messages of a branch", s.listMessages)
	post(sec, "/api/conversations/{id}/messages", signedIn, "Store a message", s.addMessage, status(201), replies[twins[turnBody]](200))
	patch(sec, "/api/conversations/{id}/messages/{mid}", signedIn, "Change what the user said", s.updateMessage, fails(404, 409))
	del(sec, "/api/conversations/{id}/messages/{mid}", signedIn, "Delete a message", s.deleteMessage, fails(404, 409))
	post(sec, "/api/conversations/{id}/messages/{mid}/regenerate", signedIn, "Answer a question again, and wait for the answer", s.regenerate, lasting(answerTimeout), fails(404, 409, 503))
	get(sec, "/api/citations/{id}", signedIn, "A citation with the passage it quotes", s.getCitation)
}

// Folders, sharing and export of conversations.
func (s *Server) folderRoutes() {
	sec := section{s, "Folders, sharing and export"}
	get(sec, "/api/folders", signedIn, "List folders", s.listFolders)
	post(sec, "/api/folders", signedIn, "Create a folder", s.createFolder, status(201), fails(404, 409))
	get(sec, "/api/folders/tree", signedIn, "All folders, inside one another", s.folderTree)
	get(sec, "/api/folders/{id}", signedIn, "A folder", s.getFolder, fails(404))
	put(sec, "/api/folders/{id}", signedIn, "Change a folder", s.updateFolder, fails(404, 409))
	patch(sec, "/api/folders/{id}", signedIn, "Change a folder", s.updateFolder, fails(404, 409))
	del(sec, "/api/folders/{id}", signedIn, "Delete a folder; what is in it moves up, conversations to no folder", s.deleteFolder, fails(404, 409))
	post(sec, "/api/folders/{id}/move/{target}", signedIn, "Move a folder into another, or to root", s.moveFolder, fails(404, 409))
	post(sec, "/api/sessions/{id}/share", signedIn, "Make a link by which others read a conversation", s.createShare, status(201), fails(404, 409))
	get(sec, "/api/sessions/{id}/shares", signedIn, "The links to a conversation that work", s.listShares, fails(404))
	del(sec, "/api/sessions/{id}/share/{token}", signedIn, "Revoke a link", s.revokeShare, fails(404))
	get(sec, "/api/shared/{token}", guest, "Read a shared conversation", s.openShare, withCookie, fails(401, 404, 410))
	raw(sec, "GET", "/api/sessions/{id}/export/markdown", signedIn, "A conversation as Markdown", s.exportMarkdown, withCookie, takesQuery(branchQuery...), produces("text/markdown"), fails(404))
	raw(sec, "GET", "/api/sessions/{id}/export/pdf", signedIn, "A conversation as PDF", s.exportPDF, withCookie, takesQuery(branchQuery...), produces("application/pdf"), fails(404, 413, 503))
}

// Files, and attachments of messages.
func (s *Server) fileRoutes() {
	sec := section{s, "Files"}
	raw(sec, "POST", "/api/files/upload", signedIn, "Upload a file", s.uploadFile, takesForm(fileForm...), status(201), replies[twins[FileBody]](201), fails(413, 422, 503))
	raw(sec, "GET", "/api/files/{id}", signedIn, "Download a file", s.downloadFile, withCookie, produces("*/*"), ranges, fails(404))
	del(sec, "/api/files/{id}", signedIn, "Delete a file", s.deleteFile, fails(404))
	raw(sec, "POST", "/api/messages/{id}/attachments", signedIn, "Attach a file to a message", s.attach, takesForm(fileForm...), orJSON[attachInput](), status(201), replies[twins[attachmentBody]](201), fails(404, 409, 413, 422, 503))
	get(sec, "/api/messages/{id}/attachments", signedIn, "The attachments of a message", s.listAttachments, fails(404))
	raw(sec, "GET", "/api/attachments/{id}/download", signedIn, "Download an attachment", s.downloadAttachment, withCookie, produces("*/*"), ranges, fails(404))
	del(sec, "/api/attachments/{id}", signedIn, "Delete an attachment", s.deleteAttachment, fails(404))
	s.reportRoutes()
}

// Reports of wrong citations, and for how long things are kept.
func (s *Server) reportRoutes() {
	sec := section{s, "Citation reports"}
	post(sec, "/api/citations/{id}/report", signedIn, "Report a wrong citation", s.reportCitation, status(201), fails(404))
	get(sec, "/api/admin/kb/citation-reports", viewer, "Reports of wrong citations", s.listReports)
	patch(sec, "/api/admin/kb/citation-reports/{id}", admin, "Resolve a report, or open it again", s.settleReport, fails(404))
	post(sec, "/api/admin/kb/citation-reports/{id}", admin, "Resolve a report, or open it again", s.settleReport, fails(404))
	system := section{s, "System"}
	get(system, "/api/admin/system/retention", viewer, "For how long things are kept", s.getRetention)
	put(system, "/api/admin/system/retention", admin, "Set for how long things are kept", s.setRetention)
}

// Clinical contexts and presets.
func (s *Server) clinicalRoutes() {
	sec := section{s, "Clinical contexts"}
	get(sec, "/api/clinical-contexts", signedIn, "List one's clinical contexts", s.listContexts)
	post(sec, "/api/clinical-contexts", signedIn, "Store a clinical context", s.createContext, status(201), fails(404, 409))
	get(sec, "/api/clinical-contexts/current", signedIn, "The context of a conversation, or null", s.currentContext, fails(404))
	get(sec, "/api/clinical-contexts/{id}", signedIn, "A clinical context", s.getContext, fails(404))
	put(sec, "/api/clinical-contexts/{id}", signedIn, "Replace the facts of a context", s.updateContext, fails(404))
	del(sec, "/api/clinical-contexts/{id}", signedIn, "Delete a clinical context", s.deleteContext, fails(404))
	get(sec, "/api/clinical-presets", signedIn, "Presets: built in, and one's own", s.listPresets)
	post(sec, "/api/clinical-presets", signedIn, "Store a preset", s.createPreset, status(201), fails(409))
	get(sec, "/api/clinical-presets/{id}", signedIn, "A preset", s.getPreset, fails(404))
	put(sec, "/api/clinical-presets/{id}", signedIn, "Replace a preset of one's own", s.updatePreset, fails(403, 404, 409))
	del(sec, "/api/clinical-presets/{id}", signedIn, "Delete a preset of one's own", s.deletePreset, fails(403, 404))
	post(sec, "/api/clinical-presets/{id}/apply", signedIn, "Make a context of a preset", s.applyPreset, status(201), fails(404, 409))
}

func (s *Server) socketRoutes() {
	sec := section{s, "Chat socket"}
	raw(sec, "GET", "/ws", anyone, "The chat socket", s.sockets.handler(), limitedBy(rateNone), takesQuery(socketQuery...), fails(429))
	raw(sec, "GET", "/api/flags/stream", signedIn, "What the feature flags say to the caller, as a stream of events", s.streamFlags,
		withCookie, withQueryToken, inSession, fails(503), takesQuery(streamQuery...), produces("text/event-stream"))
}

// The admin panel: its figures, and users as it sees them.
func (s *Server) panelRoutes() {
	sec := section{s, "Admin panel"}
	get(sec, "/api/admin/panel/summary", viewer, "The system in a few figures", s.panelSummary)
	get(sec, "/api/admin/panel/metrics", viewer, "How the system was used, by day", s.panelMetrics)
	get(sec, "/api/admin/panel/users", viewer, "List users with their figures", s.panelUsers)
	post(sec, "/api/admin/panel/users/bulk", admin, "Do the same to several users", s.bulkUsers)
	get(sec, "/api/admin/panel/users/{id}", viewer, "A user with their figures", s.panelUser, fails(404))
	put(sec, "/api/admin/panel/users/{id}", admin, "Change a user", s.patchUser, fails(400, 404, 409))
	del(sec, "/api/admin/panel/users/{id}", admin, "Delete a user", s.deleteUser, fails(400, 404, 409))
	del(sec, "/api/admin/panel/users/{id}/permanent", admin, "Delete and erase a user", s.eraseUser, fails(400, 404, 409))
	get(sec, "/api/admin/panel/users/{id}/role-history", viewer, "How a user's role has changed", s.roleHistory, fails(404))
	get(sec, "/api/admin/panel/users/{id}/lock-reasons", viewer, "Why a user could not sign in", s.lockReasons, fails(404))
	people := section{s, "Accounts"}
	post(people, "/api/admin/panel/users/invite", admin, "Invite somebody", s.invite, status(201), fails(409))
	post(people, "/api/admin/panel/users/{id}/reset-password", admin, "Send a user a link to choose a new password", s.sendReset, fails(404, 409))
	get(sec, "/api/admin/panel/websocket-status", viewer, "Who is connected", s.socketStatus)
	raw(sec, "GET", "/api/admin/panel/ws", anyone, "The socket of the admin panel", s.upgrade(s.panels.serve), limitedBy(rateNone),
		takesQuery(socketQuery[:1]...), fails(403, 426, 429))
}

func (s *Server) auditRoutes() {
	sec := section{s, "Audit"}
	get(sec, "/api/admin/panel/audit-logs", viewer, "The audit log, newest entry first", s.listAudit)
	raw(sec, "GET", "/api/admin/panel/audit-logs/export", viewer, "The audit log as a file", s.exportAudit, withCookie,
		takesQuery(auditExportQuery...), produces("text/csv", "application/json"))
	get(sec, "/api/admin/panel/audit-logs/verify", viewer, "Check the chain of the audit log", s.verifyAudit)
	get(sec, "/api/admin/kb/documents/{id}/audit", viewer, "What happened to a document", s.documentHistory)
}

// Resources, services, and the pages of asynqmon.
func (s *Server) systemRoutes() {
	sec := section{s, "System"}
	get(sec, "/api/admin/system/resources", viewer, "What the machine, the queues and the index use", s.resources)
	get(sec, "/api/admin/system/health", viewer, "How the system is, in short", s.systemHealth)
	get(sec, "/api/admin/services/status", viewer, "How each service is", s.servicesStatus)
	get(sec, "/api/admin/health/services", viewer, "How each service is", s.servicesStatus)
	get(sec, "/api/admin/health/dependencies", viewer, "How each service is", s.servicesStatus)
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
	sec := section{s, "Feature flags"}
	get(sec, "/api/admin/feature-flags", viewer, "List feature flags", s.listFlags)
	post(sec, "/api/admin/feature-flags", admin, "Create a feature flag", s.createFlag, status(201), fails(409))
	get(sec, "/api/admin/feature-flags/{name}", viewer, "A feature flag", s.getFlag, fails(404))
	patch(sec, "/api/admin/feature-flags/{name}", admin, "Change a feature flag", s.updateFlag, fails(404, 409))
	del(sec, "/api/admin/feature-flags/{name}", admin, "Delete a feature flag", s.deleteFlag, fails(404, 409))
	post(sec, "/api/admin/feature-flags/{name}/toggle", admin, "Turn a feature flag on or off", s.toggleFlag, fails(404, 409))
	post(sec, "/api/admin/feature-flags/{name}/archive", admin, "Archive a feature flag, or restore it", s.archiveFlag, fails(404, 409))
	get(sec, "/api/experiments/flags", signedIn, "What the feature flags say to the caller: {flags: {name: true, false or a value}, variants: {name: variant}}", s.myFlags)
}

func (s *Server) voiceRoutes() {
	sec, on := section{s, "Voice"}, switchedBy(voiceassist.FlagVoice)
	post(sec, "/api/voice/session", signedIn, "Begin to speak", s.startVoice, status(201), fails(404, 422, 503), on)
	raw(sec, "POST", "/api/voice/audio", signedIn, "Send a recording", s.sendAudio, takesForm(audioForm...), takesQuery(audioQuery...), status(202), replies[twins[transcriptBody]](202), fails(413, 415, 422, 503), on)
	get(sec, "/api/voice/audio/{id}", signedIn, "What was said in a recording", s.getAudio, fails(404), on)
	post(sec, "/api/voice/transcribe", signedIn, "Write down what is said", s.transcribe, takes(maxTranscribeBytes), fails(413, 415, 422, 503), on)
	post(sec, "/api/voice/synthesize", signedIn, "Speak a text", s.synthesize, produces("audio/mpeg"), fails(422, 503), on)
	get(sec, "/api/voice/voices", signedIn, "Voices that can speak", s.listVoices, fails(503), on)
	post(sec, "/api/voice/relay", signedIn, "Answer what was said", s.relayVoice, fails(404, 422, 503), on)
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
