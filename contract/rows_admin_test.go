package contract_test

const (
	documentMembers = `document_id:s id:s title:s name:s filename:s source_type:s type:s specialty:s category:s author:s status:s indexing_status:s
		indexed:b stage:s progress:n indexing_error:s? error_code:s chunks_indexed:n page_count:n bad_pages:a warning:s? total_tokens:n size:n sha256:s version:n
		upload_date:t created_at:t updated_at:t lastIndexedAt:t? uploaded_by:s? metadata:e documentId:s sourceType:s createdAt:t chunksIndexed:n `
	uploadMembers = "document_id:s id:s filename:s title:s status:s job_id:s? duplicate:b ok:b source:s author:s chunks:n chunks_indexed:n message:s "
	jobMembers    = `id:s document_id:s documentId:s kind:s state:s stage:s attempts:n progress:n processed:n total:n error_message:s? errorMessage:s?
		created_at:t started_at:t? startedAt:t? completed_at:t? completedAt:t? timeline:a `

	documentShape shape = "{" + documentMembers + "}"
	jobShape      shape = "{" + jobMembers + "}"
	uploadShape   shape = "{" + uploadMembers + "}"
	documentPage  shape = "{documents:[{" + documentMembers + "}] items:[{" + documentMembers + "}] total:n offset:n limit:n}"
	documentArray shape = "[{" + documentMembers + "}]"
	reindexShape  shape = "{job_id:s? job_ids:[s] job_count:n}"
	deletedShape  shape = "{document_id:s status:s message:s}"
	trashShape    shape = "{documents:[{" + documentMembers + "deleted_at:t purge_at:t}] total:n offset:n limit:n}"
	restoredShape shape = "{document_id:s status:s job_id:s?}"
	verifyMembers       = `id:s status:s scheduled:b repair:b requested_at:t started_at:t? finished_at:t? took_ms:n error:s checked:e counts:e
		repaired:n differences:a `

	kb      = "/api/admin/kb"
	leaflet = "form:file=@leaflet.txt:A leaflet about {{+nonce}}.&title=Leaflet&source_type=guideline&specialty=cardiology"
)

var libraryRows = []row{
	{method: "GET", path: kb + "/documents?offset=0&limit=20&status=indexed&sort=title", statuses: viewers(200), shape: documentPage, flat: documentArray},
	{method: "GET", path: kb + "/documents?skip=1&limit=2&source_type=guideline&specialty=cardiology&category=x&search=y", statuses: viewers(200), shape: documentPage, flat: documentArray},
	{method: "GET", path: kb + "/documents?status=lost", statuses: viewers(422)},
	{method: "POST", path: kb + "/documents", body: leaflet, statuses: admins(202), shape: uploadShape},
	{method: "POST", path: kb + "/documents", body: "form:file=@setup.exe:MZ\x90\x00\x03\x00{{+nonce}}", statuses: admins(415)},
	{method: "POST", path: kb + "/documents", body: "form:file=@empty.txt:", statuses: admins(422)},
	{method: "POST", path: kb + "/documents", body: "form:title=no file", statuses: admins(422)},
	{method: "POST", path: kb + "/upload", body: leaflet, statuses: admins(202), shape: uploadShape},
	{method: "POST", path: "/api/kb/documents", body: leaflet, statuses: admins(202), shape: uploadShape},
	{method: "GET", path: kb + "/documents/{{document}}", statuses: viewers(200), shape: documentShape},
	{method: "GET", path: kb + "/documents/nothing", statuses: viewers(404)},
	{method: "PATCH", path: kb + "/documents/{{document}}", body: `{"title":"A better title","author":"A. Author","specialty":"neurology","year":2024}`, statuses: admins(200), shape: documentShape},
	{method: "PATCH", path: kb + "/documents/{{document}}", body: `{"title":""}`, statuses: admins(422)},
	{method: "POST", path: kb + "/documents/{{document}}/reindex", statuses: admins(202), shape: reindexShape},
	{method: "DELETE", path: kb + "/documents/{{+document}}", statuses: admins(200), shape: deletedShape},
	{method: "DELETE", path: kb + "/documents/{{+deleted document}}?purge=true", statuses: admins(200), shape: deletedShape},
	{method: "GET", path: kb + "/documents/deleted?limit=2", statuses: viewers(200), shape: trashShape},
	{method: "POST", path: kb + "/documents/{{+deleted document}}/restore", statuses: admins(202), shape: restoredShape},
	{method: "POST", path: kb + "/documents/nothing/restore", statuses: admins(404)},
	{method: "POST", path: kb + "/documents/{{purged document}}/restore", statuses: admins(410)},
	{method: "GET", path: kb + "/verify", statuses: viewers(200), shape: "{last:e? current:e?}"},
	{method: "POST", path: kb + "/verify", body: `{"repair":false}`, statuses: admins(202), shape: "{" + verifyMembers + "}"},
	{method: "DELETE", path: kb + "/{{+document}}", statuses: admins(200), shape: deletedShape},
	{method: "GET", path: kb + "/documents/{{document}}/audit", statuses: viewers(200), shape: anything},
	{method: "GET", path: kb + "/documents/{{document}}/timeline", statuses: viewers(200), shape: "{document_id:s events:[{job_id:s kind:s attempt:n stage:s result:s detail:s started_at:t ended_at:t took_ms:n part:e?}] stages:[{stage:s runs:n took_ms:n}] total:n offset:n limit:n}"},
	{method: "GET", path: kb + "/documents/{{document}}/passages", statuses: viewers(200), shape: anything},
	{method: "GET", path: kb + "/documents/{{document}}/file", statuses: viewers(200), media: "text/plain"},
	{method: "POST", path: kb + "/reindex", body: `{"document_ids":["{{document}}"]}`, statuses: admins(202), shape: reindexShape},
	{method: "POST", path: kb + "/reindex", body: `{"document_ids":"all"}`, statuses: admins(422)},
	{method: "GET", path: kb + "/jobs?limit=5&state=completed", statuses: viewers(200), shape: "[{" + jobMembers + "}]"},
	{method: "GET", path: kb + "/jobs/{{job}}", statuses: viewers(200), shape: jobShape},
	{method: "POST", path: kb + "/jobs/{{failed job}}/cancel", statuses: admins(409)},
	{method: "POST", path: kb + "/jobs/{{+failed job}}/retry", statuses: admins(200), shape: jobShape},
	{method: "GET", path: kb + "/stats", statuses: viewers(200), shape: "{total_documents:n total_chunks:n vector_count:n by_status:e by_source_type:e index_size_bytes:n embedding_profile:s? last_indexed_at:t?}"},
	{method: "GET", path: "/api/kb/documents", statuses: members(200), shape: documentPage, flat: documentArray},
	{method: "GET", path: "/api/kb/documents/{{document}}", statuses: members(200), shape: documentShape},
	{method: "GET", path: "/api/kb/documents/{{document}}/text?page=1", statuses: members(200), shape: "{text:s}"},
	{method: "GET", path: "/api/kb/documents/{{document}}/text?page=99", statuses: members(404)},
	{method: "POST", path: "/api/kb/search", body: `{"query":"asthma attack","limit":5,"filters":{}}`, statuses: members(200), shape: "[{id:s documentId:s title:s excerpt:s score:n pageNumber:n}]"},
	{method: "POST", path: "/api/kb/search", body: `{"limit":5}`, statuses: members(422)},
}

const (
	panel              = "/api/admin/panel"
	logMembers         = "id:s timestamp:t level:s action:s user_id:s? user_email:s? resource_type:s resource_id:s success:b details:e ip_address:s? request_id:s? "
	panelUser    shape = "{" + userMembers + "user:{" + userMembers + "} " + echoedRate + "}"
	summaryShape shape = `{users:{total:n active:n admins:n} conversations:{total:n today:n} system:{status:s uptime:n}
		total_users:n active_users:n admin_users:n timestamp:*}`
	metricsShape shape = `{daily_registrations:a daily_active_users:a user_distribution:e conversations:e messages:e documents:e period_days:n timestamp:*}`
	logPage      shape = "{logs:[{" + logMembers + "}] total:n}"
)

var panelRows = []row{
	{method: "GET", path: panel + "/summary", statuses: viewers(200), shape: summaryShape},
	{method: "GET", path: panel + "/websocket-status", statuses: viewers(200), shape: "{active_connections:n connections_by_type:e recent_connections:a pool_stats:{database:e redis:e} timestamp:*}"},
	{method: "GET", path: panel + "/ws", statuses: everyone(426)},
	{method: "GET", path: panel + "/users?offset=0&limit=20&search=example&is_active=true&is_admin=false", statuses: viewers(200), shape: "{total:n offset:n limit:n}"},
	{method: "GET", path: panel + "/users?is_active=perhaps", statuses: viewers(422)},
	{method: "GET", path: panel + "/users/{{user}}", statuses: viewers(200), shape: userShape},
	{method: "GET", path: panel + "/users/nobody", statuses: viewers(404)},
	{method: "PUT", path: panel + "/users/{{user}}", body: `{"full_name":"Ada King","is_active":true,"admin_role":"viewer"}`, statuses: admins(200), shape: panelUser},
	{method: "PUT", path: panel + "/users/{{user}}", body: `{"admin_role":"emperor"}`, statuses: admins(422)},
	{method: "DELETE", path: panel + "/users/{{+user}}", statuses: admins(200), shape: messageShape},
	{method: "DELETE", path: panel + "/users/{{+user}}/permanent", statuses: admins(200), shape: messageShape},
	{method: "GET", path: panel + "/users/{{other admin}}/role-history", statuses: viewers(200), shape: "{history:[{id:s changed_at:t actor:s? from_role:s to_role:s reason:s? trace_id:s?}]}"},
	{method: "GET", path: panel + "/users/{{inactive user}}/lock-reasons", statuses: viewers(200), shape: "{events:[{id:s timestamp:t actor:s? status:s reason:s? trace_id:s?}]}"},
	{method: "POST", path: panel + "/users/{{user}}/reset-password", statuses: admins(200), shape: messageShape},
	{method: "POST", path: panel + "/users/invite", body: `{"email":"{{+email}}","role":"viewer"}`, statuses: admins(201), shape: "{email:s}"},
	{method: "POST", path: panel + "/users/invite", body: `{"email":"admin@example.com"}`, statuses: admins(409)},
	{method: "POST", path: panel + "/users/bulk", body: `{"action":"deactivate","user_ids":["{{+user}}","{{nonce}}"]}`, statuses: admins(200), shape: "{results:[{user_id:s ok:b}]}"},
	{method: "POST", path: panel + "/users/bulk", body: `{"action":"dance","user_ids":[]}`, statuses: admins(422)},
	{method: "GET", path: panel + "/metrics?days=7", statuses: viewers(200), shape: metricsShape},
	{method: "GET", path: panel + "/metrics?days=0", statuses: viewers(422)},
	{method: "GET", path: panel + "/audit-logs?page=1&limit=50&action=auth.login&user_id={{me}}", statuses: viewers(200), shape: logPage},
	{method: "GET", path: panel + "/audit-logs?from=yesterday", statuses: viewers(422)},
	{method: "GET", path: panel + "/audit-logs/export?format=csv", statuses: viewers(200), media: "text/csv"},
	{method: "GET", path: panel + "/audit-logs/export?format=json", statuses: viewers(200), media: "application/json"},
	{method: "GET", path: panel + "/audit-logs/export?format=xml", statuses: viewers(422)},
	{method: "GET", path: panel + "/audit-logs/verify", statuses: viewers(200), shape: "{valid:b}"},
}

var systemRows = []row{
	{method: "GET", path: "/api/admin/system/resources", statuses: viewers(200), shape: object},
	{method: "GET", path: "/api/admin/system/health", statuses: viewers(200), shape: "{status:s}"},
	{method: "GET", path: "/api/admin/system/retention", statuses: viewers(200), shape: "{conversations_days:n? files_days:n? audit_days:n?}"},
	{method: "PUT", path: "/api/admin/system/retention", body: `{"conversations_days":3650,"files_days":3650,"audit_days":3650}`, statuses: admins(200), shape: "{conversations_days:n files_days:n audit_days:n}"},
	{method: "PUT", path: "/api/admin/system/retention", body: `{"audit_days":-1}`, statuses: admins(422)},
	{method: "GET", path: "/api/admin/services/status", statuses: viewers(200), shape: "{services:[{name:s status:s}]}"},
	{method: "GET", path: "/api/admin/health/services", statuses: viewers(200), shape: "{services:[{name:s status:s}]}"},
	{method: "GET", path: "/api/admin/health/dependencies", statuses: viewers(200), shape: object},
	{method: "GET", path: "/api/admin/jobs/", statuses: statuses{401, 403, 200, 200}, media: "text/html"},
}

const (
	flagMembers = `name:s enabled:b description:s flag_type:s value:* default_value:* rollout_percentage:n variants:* targeting_rules:* environment:s?
		archived:b created_at:t updated_at:t metadata:* rolloutPercentage:n createdAt:t `
	flagShape shape = "{" + flagMembers + "}"
	flags           = "/api/admin/feature-flags"
)

var flagRows = []row{
	{method: "GET", path: flags, statuses: viewers(200), shape: "{flags:[{" + flagMembers + "}] total:n}"},
	{method: "GET", path: flags + "/{{flag}}", statuses: viewers(200), shape: flagShape},
	{method: "GET", path: flags + "/nothing", statuses: viewers(404)},
	{method: "POST", path: flags, body: `{"name":"{{+nonce}}","enabled":false,"description":"Description of the feature","rollout_percentage":0}`, statuses: admins(201), shape: flagShape},
	{method: "POST", path: flags, body: `{"name":"voice_mode"}`, statuses: admins(409)},
	{method: "POST", path: flags, body: `{"name":"No Name!"}`, statuses: admins(422)},
	{method: "PATCH", path: flags + "/{{flag}}", body: `{"enabled":true,"rollout_percentage":50}`, statuses: admins(200), shape: flagShape},
	{method: "PATCH", path: flags + "/{{flag}}", body: `{"rollout_percentage":101}`, statuses: admins(422)},
	{method: "POST", path: flags + "/{{flag}}/toggle", statuses: admins(200), shape: flagShape},
	{method: "POST", path: flags + "/{{+flag}}/archive", statuses: admins(200), shape: flagShape},
	{method: "DELETE", path: flags + "/{{+flag}}", statuses: admins(200), shape: messageShape},
	{method: "GET", path: "/api/flags/stream", statuses: members(200), media: "text/event-stream"},
	{method: "GET", path: "/api/experiments/flags", statuses: members(200), shape: "{flags:e}"},
}

var cacheRows = []row{
	{method: "GET", path: "/api/admin/cache/stats", statuses: viewers(200), shape: `{redis:{connected:b used_memory:s keys:n} l1_cache:{size:n hits:n misses:n}
		total_keys:n memory_used_bytes:n memory_used_human:s hit_rate:n miss_rate:n uptime_seconds:n connected_clients:n keys_by_prefix:e l1_size:n}`},
	{method: "GET", path: "/api/admin/cache/stats/namespaces", statuses: viewers(200), shape: object},
	{method: "POST", path: "/api/admin/cache/clear", statuses: admins(200), shape: "{status:s message:s}"},
	{method: "POST", path: "/api/admin/cache/invalidate", body: `{"pattern":"user:*"}`, statuses: admins(200), shape: "{status:s pattern:s keys_invalidated:n deleted_count:n}"},
	{method: "POST", path: "/api/admin/cache/invalidate?pattern=user:*", statuses: admins(200), shape: "{status:s pattern:s keys_invalidated:n deleted_count:n}"},
	{method: "POST", path: "/api/admin/cache/invalidate", body: `{}`, statuses: admins(422)},
	{method: "POST", path: "/api/admin/cache/invalidate/namespace", body: `{"namespace":"search"}`, statuses: admins(200), shape: "{status:s}"},
}

// Nothing is configured here that could recognise speech or hold files and
// dates; the routes say so, after they have looked at what was sent.
var voiceRows = []row{
	{method: "POST", path: "/api/voice/session", body: `{"language":"en"}`, statuses: members(503)},
	{method: "POST", path: "/api/voice/session", body: `{"language":5}`, statuses: members(422)},
	{method: "POST", path: "/api/voice/audio", body: "form:audio=@speech.wav:RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x00\x00\x00\x00", statuses: members(503)},
	{method: "POST", path: "/api/voice/audio", body: "form:language=en", statuses: members(422)},
	{method: "GET", path: "/api/voice/audio/nothing", statuses: members(404)},
	{method: "POST", path: "/api/voice/transcribe", body: `{}`, statuses: members(422)},
	{method: "POST", path: "/api/voice/synthesize", body: `{"text":"Good morning."}`, statuses: members(503)},
	{method: "GET", path: "/api/voice/voices", statuses: members(503)},
	{method: "POST", path: "/api/voice/relay", body: `{"transcript":"Good morning."}`, statuses: members(503)},
}

var integrationRows = []row{
	{method: "GET", path: "/api/integrations/calendar/events?start_date=2026-01-01&end_date=2026-01-31", statuses: members(503)},
	{method: "GET", path: "/api/integrations/calendar/events?start_date=soon", statuses: members(422)},
	{method: "POST", path: "/api/integrations/calendar/events", body: `{"summary":"Round","start":"2026-01-01T08:00:00Z","end":"2026-01-01T09:00:00Z"}`, statuses: members(503)},
	{method: "POST", path: "/api/integrations/calendar/events", body: `{"summary":"Round","start":"2026-01-01T08:00:00Z","end":"2026-01-01T07:00:00Z"}`, statuses: members(422)},
	{method: "PUT", path: "/api/integrations/calendar/events/some-event", body: `{"summary":"Round"}`, statuses: members(503)},
	{method: "DELETE", path: "/api/integrations/calendar/events/some-event", statuses: members(503)},
	{method: "GET", path: "/api/integrations/files/discover?path=/papers&recursive=true", statuses: viewers(503)},
	{method: "POST", path: "/api/integrations/files/index", body: `{"paths":["/papers/a.pdf"],"source_type":"journal"}`, statuses: admins(503)},
	{method: "POST", path: "/api/integrations/files/index", body: `{"paths":["/../etc/passwd"]}`, statuses: admins(422)},
	{method: "POST", path: "/api/integrations/files/scan-and-index", body: `{"path":"/papers"}`, statuses: admins(503)},
}

// Other names of what stands above.
var aliasRows = []row{
	{method: "GET", path: "/admin/kb/documents", statuses: viewers(200), shape: documentPage, flat: documentArray},
	{method: "GET", path: "/kb/documents", statuses: members(200), shape: documentPage, flat: documentArray},
	{method: "POST", path: "/kb/documents", body: leaflet, statuses: admins(202), shape: uploadShape},
	{method: "GET", path: "/conversations?page=1&pageSize=20", statuses: members(200), shape: conversationPage},
	{method: "POST", path: "/conversations", body: `{"title":"New Medical Discussion"}`, statuses: members(201), shape: conversationShape},
	{method: "GET", path: "/conversations/{{conversation}}/messages?branch_id=main", statuses: members(200), shape: turnPage},
	{method: "GET", path: "/api/api/auth/me", statuses: members(200), shape: userShape},
	{method: "GET", path: "/api/auth/me/", statuses: members(200), shape: userShape},
	{method: "GET", path: "/api/ws", statuses: everyone(426)},
	{method: "GET", path: "/api/realtime/ws", statuses: everyone(426)},
	{method: "GET", path: "/api/export/sessions/{{conversation}}/export/markdown", statuses: members(200), media: "text/markdown"},
	{method: "GET", path: "/api/attachments/messages/{{message}}/attachments", statuses: members(200), shape: "[{" + attachmentMembers + "}]"},
	{method: "GET", path: "/api/health", statuses: everyone(200), shape: "{status:s version:s timestamp:n}"},
	{method: "GET", path: "/api/live", statuses: everyone(200), shape: object},
	{method: "GET", path: "/api/ready", statuses: everyone(200), shape: "{status:s checks:e timestamp:n}"},
	{method: "GET", path: "/api/metrics", statuses: everyone(200), media: "text/plain"},
	{method: "GET", path: "/api/docs", statuses: everyone(200), media: "text/html"},
	{method: "GET", path: "/api/redoc", statuses: everyone(200), media: "text/html"},
	{method: "GET", path: "/api/openapi.json", statuses: everyone(200), media: "application/json"},
	{method: "GET", path: "/api/admin/users", statuses: viewers(200), shape: "{total:n}"},
	{method: "GET", path: "/api/admin/metrics", statuses: viewers(200), shape: metricsShape},
	{method: "GET", path: "/api/admin/audit-logs", statuses: viewers(200), shape: logPage},
}

// What the contract leaves out, and wrong methods.
var leftOutRows = []row{
	{method: "GET", path: "/api/auth/oauth/google", statuses: everyone(404)},
	{method: "GET", path: "/api/admin/prompts", statuses: everyone(404)},
	{method: "GET", path: "/api/admin/phi/rules", statuses: everyone(404)},
	{method: "GET", path: "/api/admin/backups", statuses: everyone(404)},
	{method: "DELETE", path: "/health", statuses: everyone(405)},
	{method: "PUT", path: "/api/auth/login", body: `{}`, statuses: everyone(405)},
}
