package contract_test

const (
	batchMembers = `id:s name:s state:s manifest:b more:b defaults:e webhook_url:s? notify:b account:{declared:n awaited:n accepted:n indexed:n
		duplicate:n skipped:n failed:n cancelled:n in_flight:n imbalance:n} progress:n files_per_minute:n eta_seconds:n? created_by:s?
		created_at:t paused_at:t? cancelled_at:t? closed_at:t? ended_at:t? createdAt:t endedAt:t? notices:a `
	batchShape  shape = "{" + batchMembers + "}"
	openedShape shape = "{id:s batch:{" + batchMembers + "} files:[{name:s sha256:s state:s upload:b document_id:s?}] upload:n}"
	fatesShape  shape = `[{name:s size:n sha256:s state:s error_code:s error_message:s? document_id:s? job_id:s? added_at:t received_at:t? finished_at:t?
		errorCode:s documentId:s? finishedAt:t?}]`

	batches       = kb + "/batches"
	manifestEntry = `{"name":"a/b.txt","size":5,"sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}`
)

var batchRows = []row{
	{method: "POST", path: batches, body: `{"name":"A load","defaults":{"source_type":"guideline"}}`, statuses: admins(201), shape: openedShape},
	{method: "POST", path: batches, body: `{"name":"A load","files":[` + manifestEntry + `],"more":true}`, statuses: admins(201), shape: openedShape},
	{method: "POST", path: batches, body: `{"name":"A load","files":[{"name":"a","size":1,"sha256":"none"}]}`, statuses: admins(422)},
	{method: "POST", path: batches, body: `{"name":" "}`, statuses: admins(422)},
	{method: "POST", path: batches, body: `{"name":"A load","webhook_url":"https://example.org/hook"}`, statuses: admins(422)}, // no secret is set
	{method: "GET", path: batches + "?open=true&name=A%20load&limit=5", statuses: viewers(200), shape: "[{" + batchMembers + "}]"},
	{method: "GET", path: batches + "/{{batch}}", statuses: viewers(200), shape: batchShape},
	{method: "GET", path: batches + "/nothing", statuses: viewers(404)},
	{method: "POST", path: batches + "/{{manifest batch}}/manifest", body: `{"files":[` + manifestEntry + `],"more":true}`, statuses: admins(200), shape: openedShape},
	{method: "POST", path: batches + "/{{batch}}/manifest", body: `{"files":[` + manifestEntry + `]}`, statuses: admins(409)},
	{method: "POST", path: batches + "/nothing/manifest", body: `{"files":[]}`, statuses: admins(404)},
	{method: "POST", path: batches + "/{{batch}}/files?name=leaflets/one.txt", body: leaflet, statuses: admins(202), shape: uploadShape},
	{method: "POST", path: batches + "/{{batch}}/files", body: "form:file=@setup.exe:MZ\x90\x00\x03\x00{{+nonce}}", statuses: admins(415)},
	{method: "POST", path: batches + "/{{batch}}/files", body: "form:title=no file", statuses: admins(422)},
	{method: "POST", path: batches + "/{{manifest batch}}/files?name=a/b.txt", body: leaflet, statuses: admins(422)},
	{method: "POST", path: batches + "/{{closed batch}}/files", body: leaflet, statuses: admins(409)},
	{method: "POST", path: batches + "/nothing/files", body: leaflet, statuses: admins(404)},
	{method: "GET", path: batches + "/{{failed batch}}/files?state=failed&search=broken&limit=5", statuses: viewers(200), shape: fatesShape},
	{method: "GET", path: batches + "/{{batch}}/files?state=vanished", statuses: viewers(422)},
	{method: "GET", path: batches + "/nothing/files", statuses: viewers(404)},
	{method: "GET", path: batches + "/{{batch}}/files.csv", statuses: viewers(200), media: "text/csv"},
	{method: "GET", path: batches + "/nothing/files.csv", statuses: viewers(404)},
	{method: "POST", path: batches + "/{{+batch}}/pause", statuses: admins(200), shape: batchShape},
	{method: "POST", path: batches + "/{{paused batch}}/pause", statuses: admins(409)},
	{method: "POST", path: batches + "/{{+paused batch}}/resume", statuses: admins(200), shape: batchShape},
	{method: "POST", path: batches + "/{{batch}}/resume", statuses: admins(409)},
	{method: "POST", path: batches + "/{{+batch}}/cancel", statuses: admins(200), shape: batchShape},
	{method: "POST", path: batches + "/{{+failed batch}}/retry", statuses: admins(200), shape: "{retried:n batch:{" + batchMembers + "}}"},
	{method: "POST", path: batches + "/{{closed batch}}/retry", statuses: admins(409)},
	{method: "POST", path: batches + "/{{+batch}}/close", statuses: admins(200), shape: batchShape},
}
