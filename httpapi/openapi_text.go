package httpapi

// description is the introduction of the OpenAPI document, as Markdown.
const description = "VoiceAssist takes in medical literature, makes it searchable, and answers questions with citations that quote the " +
	"stored text word for word.\n\n" +
	"## Replies\n\n" +
	"Every reply is an object with `success`, `data`, `error`, `meta`, `metadata`, `timestamp` and `trace_id`. The resource is in `data`, " +
	"and its fields stand at the top level again, so a client may read either. `success`, `data`, `error` and `meta` at the top level are " +
	"always the envelope's; a resource's own `metadata`, `timestamp` and `message` keep their values. Of a list, only its one array is repeated; " +
	"where `data` is an array itself, `total`, `offset` and `limit` stand beside it.\n\n" +
	"Times are RFC 3339 in UTC with milliseconds. Ids are opaque.\n\n" +
	"## Requests\n\n" +
	"Bodies are JSON of at most 1 MiB, whatever their Content-Type says, except for forms. Names may be in snake_case, as they are described here, " +
	"or in camelCase: `document_ids` and `documentIds` are the same. Resources are sent in both casings. Unknown fields and unknown query " +
	"parameters are ignored; of a parameter that is repeated, the first counts. Text must be UTF-8 without NUL characters.\n\n" +
	"Lists are paged by `offset` and `limit`, `skip` and `limit`, or `page` and `pageSize` (`page_size`), 20 rows by default and at most 100.\n\n" +
	"Trailing slashes do not matter. HEAD is answered wherever GET is.\n\n" +
	"## Errors\n\n" +
	"An error has `success: false`, `error` with a `code`, a `message` and, for 422, `details`, and `detail` with the message or the list of what is wrong. " +
	"A path that does not exist is 404; a method that a path does not have is 405, with the header `Allow`. " +
	"What belongs to somebody else, and an id that is none, is 404.\n\n" +
	"## The flat profile under /v1\n\n" +
	"The same operations are mounted under `/v1`, for clients of the first API: a client whose base URL ends in `/v1` gets replies without the " +
	"envelope. The body is what is described here as `data`, with the array alone where the first API printed an array (the number of all rows is in the header " +
	"`X-Total-Count`, and the default is 100 rows). Errors are `{\"detail\", \"code\", \"message\"}` (schema FlatError). The paths are not listed twice.\n\n" +
	"## Other names\n\n" +
	"These lead to the same operations: `/admin/*` → `/api/admin/*`; `/kb/*` → `/api/kb/*`; `/conversations*` → `/api/conversations*`; `/api/api/*` → `/api/*`; " +
	"`/api/export/sessions/*` → `/api/sessions/*`; `/api/attachments/messages/*` → `/api/messages/*`; `/api/admin/users` → `/api/admin/panel/users`; " +
	"`/api/admin/metrics` → `/api/admin/panel/metrics`; `/api/ws` and `/api/realtime/ws` → `/ws`; `/api/{health,live,ready,metrics,docs,redoc,openapi.json,asyncapi.json}` " +
	"→ those of the root.\n\n" +
	"## Sockets and event streams\n\n" +
	"[/asyncapi.json](/asyncapi.json) describes the chat socket in its three dialects, the socket of the admin panel and the streams of server-sent events.\n\n" +
	"## Limits\n\n" +
	"Anonymous requests are counted by client address, others by session or API key. Counted replies carry `X-RateLimit-Limit`, `-Remaining` and `-Reset`; " +
	"a refused one is 429 with `Retry-After`."

func servers() []object {
	return []object{
		{"url": "/", "description": "Replies in the envelope, as described here"},
		{"url": "/v1", "description": "The flat profile: the same operations, replies without the envelope (see the introduction)"},
	}
}

// tagDescriptions say what the operations of a tag are for, by the tag in lower
// case.
var tagDescriptions = map[string]string{
	"health":                        "Whether the process lives and can do its work, and what describes it.",
	"pages":                         "The description of the API, to look at and to try out.",
	"accounts":                      "Registration, sessions and their tokens, second factors, API keys.",
	"users":                         "One's own account, and those of others for administrators.",
	"knowledge base":                "What signed-in users may read of the library, and search.",
	"knowledge base administration": "Uploads, documents, jobs and figures of the library.",
	"conversations":                 "Conversations, their messages and citations.",
	"folders, sharing and export":   "Folders of conversations, links under which others may read them, and conversations as files.",
	"files":                         "Uploaded files, and attachments of messages.",
	"citation reports":              "What users say is wrong with citations.",
	"clinical contexts":             "What a conversation should know of a patient, and presets of it.",
	"chat socket":                   "Questions and streamed answers; /asyncapi.json has the events.",
	"admin panel":                   "Figures, users and news for the admin panel.",
	"audit":                         "Who did what and when, append-only and verifiable.",
	"system":                        "Resources, services, dependencies and queues.",
	"cache":                         "What is cached, and how to forget it.",
	"feature flags":                 "Switches of the program, with roll-out by percentage.",
	"voice":                         "Recordings, transcripts and speech.",
	"integrations":                  "Calendars and files of a Nextcloud.",
}
