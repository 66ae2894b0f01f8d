package contract_test

const (
	conversationMembers = `id:s userId:s title:s archived:b messageCount:n folderId:s? createdAt:t updatedAt:t lastMessagePreview:s
		user_id:s message_count:n folder_id:s? created_at:t updated_at:t `
	turnMembers = `id:s session_id:s conversationId:s role:s content:s parent_message_id:s? parentId:s? branch_id:s branchId:s
		client_message_id:s? citations:[{` + citationMembers + `}] attachments:a status:s tokens:n model:s created_at:t timestamp:n is_duplicate:b `
	branchMembers = `branch_id:s branchId:s session_id:s sessionId:s parent_message_id:s? parentMessageId:s? message_count:n messageCount:n
		created_at:t createdAt:t last_activity:t? lastActivity:t? `
	citationMembers = `id:s index:n document_id:s documentId:s source:s source_type:s sourceType:s title:s snippet:s quote:s page:n page_label:s
		char_start:n char_end:n section:s authors:[s] journal:s publicationYear:n? doi:s pubmedId:s url:s relevanceScore:n score:n generation:n `

	conversationShape shape = "{" + conversationMembers + "}"
	turnShape         shape = "{" + turnMembers + "}"
	branchShape       shape = "{" + branchMembers + "}"

	conversationPage shape = "{items:[{" + conversationMembers + "}] total:n page:n pageSize:n totalPages:n}"
	turnPage         shape = "{items:[{" + turnMembers + "}] messages:[{" + turnMembers + "}] total:n page:n pageSize:n}"

	aConversation = "/api/conversations/{{conversation}}"
)

var conversationRows = []row{
	{method: "GET", path: "/api/conversations?page=1&pageSize=20", statuses: members(200), shape: conversationPage},
	{method: "GET", path: "/api/conversations?archived=true&folderId={{folder}}&search=x", statuses: members(200), shape: conversationPage},
	{method: "GET", path: "/api/conversations?pageSize=none", statuses: members(422)},
	{method: "POST", path: "/api/conversations", body: `{"title":"New Medical Discussion","folder_id":"{{folder}}"}`, statuses: members(201), shape: conversationShape},
	{method: "POST", path: "/api/conversations", body: `{}`, statuses: members(201), shape: conversationShape},
	{method: "POST", path: "/api/conversations", body: `{"folder_id":"{{nonce}}"}`, statuses: members(404)},
	{method: "GET", path: aConversation, statuses: members(200), shape: conversationShape},
	{method: "GET", path: "/api/conversations/00000000-0000-4000-8000-000000000000", statuses: members(404)},
	{method: "GET", path: "/api/conversations/nothing", statuses: members(404)},
	{method: "PUT", path: aConversation, body: `{"title":"Updated Title","archived":false,"folder_id":"{{folder}}"}`, statuses: members(200), shape: conversationShape},
	{method: "PATCH", path: aConversation, body: `{"folderId":null}`, statuses: members(200), shape: conversationShape},
	{method: "PATCH", path: aConversation, body: `{"archived":"maybe"}`, statuses: members(422)},
	{method: "DELETE", path: "/api/conversations/{{+conversation}}", statuses: members(200), shape: messageShape},
	{method: "DELETE", path: "/api/conversations/all", statuses: members(200), shape: "{deleted_count:n message:s}", fresh: true},
	{method: "GET", path: aConversation + "/branches", statuses: members(200), shape: "[{" + branchMembers + "}]"},
	{method: "POST", path: aConversation + "/branches", body: `{"parent_message_id":"{{message}}","initial_message":"And for children?"}`, statuses: members(201), shape: branchShape},
	{method: "POST", path: aConversation + "/branches", body: `{"parentMessageId":"{{message}}"}`, statuses: members(201), shape: branchShape},
	{method: "POST", path: aConversation + "/branches", body: `{"parent_message_id":"{{nonce}}"}`, statuses: members(404)},
	{method: "GET", path: aConversation + "/branches/{{branch}}/messages", statuses: members(200), shape: turnPage},
	{method: "GET", path: aConversation + "/branches/nothing/messages", statuses: members(404)},
	{method: "GET", path: aConversation + "/messages?branch_id=main&limit=10", statuses: members(200), shape: turnPage},
	{method: "GET", path: aConversation + "/messages?branch_id=nothing", statuses: members(404)},
	{method: "POST", path: aConversation + "/messages", body: `{"content":"A note.","role":"user","client_message_id":"{{+nonce}}"}`, statuses: members(201), shape: turnShape},
	{method: "POST", path: aConversation + "/messages", body: `{"content":"","role":"user"}`, statuses: members(422)},
	{method: "PATCH", path: aConversation + "/messages/{{+message}}", body: `{"content":"A better note."}`, statuses: members(200), shape: turnShape},
	{method: "DELETE", path: aConversation + "/messages/{{+message}}", statuses: members(200), shape: messageShape},
	{method: "POST", path: aConversation + "/messages/{{answer}}/regenerate", body: `{"temperature":0.2,"length_preference":"short","use_clinical_context":false,"create_branch":true}`, statuses: members(200), shape: "{message:" + turnShape + " branch_id:s original_message_id:s}"},
	{method: "POST", path: aConversation + "/messages/{{answer}}/regenerate", body: `{"temperature":9}`, statuses: members(422)},
	{method: "GET", path: "/api/citations/{{citation}}", statuses: members(200), shape: "{" + citationMembers + "passage:{text:s}}"},
	{method: "GET", path: "/api/citations/nothing", statuses: members(404)},
	{method: "POST", path: "/api/citations/{{citation}}/report", body: `{"reason":"wrong_quote","comment":"The number is another."}`, statuses: members(201), shape: "{id:s}"},
	{method: "POST", path: "/api/citations/{{citation}}/report", body: `{"reason":"because"}`, statuses: members(422)},
	{method: "GET", path: "/api/admin/kb/citation-reports", statuses: viewers(200), shape: "{total:n}"},
	{method: "POST", path: "/api/admin/kb/citation-reports/{{report}}", body: `{"state":"resolved","note":"Seen."}`, statuses: admins(200), shape: "{id:s state:s}"},
	{method: "PATCH", path: "/api/admin/kb/citation-reports/{{report}}", body: `{"state":"resolved","note":"Seen."}`, statuses: admins(200), shape: "{id:s state:s}"},
}

const (
	folderMembers       = "id:s user_id:s name:s color:s? icon:s? parent_folder_id:s? created_at:t userId:s parentFolderId:s? createdAt:t "
	folderShape   shape = "{" + folderMembers + "}"
)

var folderRows = []row{
	{method: "GET", path: "/api/folders", statuses: members(200), shape: "[{" + folderMembers + "}]"},
	{method: "POST", path: "/api/folders", body: `{"name":"{{+nonce}}","color":"#336699","icon":"heart"}`, statuses: members(201), shape: folderShape},
	{method: "POST", path: "/api/folders", body: `{"name":""}`, statuses: members(422)},
	{method: "GET", path: "/api/folders/tree", statuses: members(200), shape: "[{" + folderMembers + "children:a}]"},
	{method: "GET", path: "/api/folders/{{folder}}", statuses: members(200), shape: folderShape},
	{method: "GET", path: "/api/folders/nothing", statuses: members(404)},
	{method: "PUT", path: "/api/folders/{{folder}}", body: `{"name":"{{+nonce}}"}`, statuses: members(200), shape: folderShape},
	{method: "PATCH", path: "/api/folders/{{folder}}", body: `{"color":"#000000"}`, statuses: members(200), shape: folderShape},
	{method: "POST", path: "/api/folders/{{+folder}}/move/{{folder}}", statuses: members(200), shape: folderShape},
	{method: "POST", path: "/api/folders/{{folder}}/move/{{folder}}", statuses: members(409)},
	{method: "DELETE", path: "/api/folders/{{+folder}}", statuses: members(200), shape: messageShape},

	{method: "POST", path: "/api/sessions/{{conversation}}/share", body: `{"expiresInHours":24,"password":"open sesame","allowAnonymous":true}`, statuses: members(201), shape: "{shareId:s shareUrl:s expiresAt:t passwordProtected:b}"},
	{method: "POST", path: "/api/sessions/{{conversation}}/share", body: `{"expiresInHours":0}`, statuses: members(422)},
	{method: "GET", path: "/api/sessions/{{conversation}}/shares", statuses: members(200), shape: "[{}]"},
	{method: "DELETE", path: "/api/sessions/{{conversation}}/share/{{+share}}", statuses: members(200), shape: messageShape},
	{method: "GET", path: "/api/shared/{{share}}", statuses: everyone(200), shape: "{title:s messages:[{role:s content:s}]}"},
	{method: "GET", path: "/api/shared/{{locked share}}", statuses: everyone(401)},
	{method: "GET", path: "/api/shared/{{locked share}}?password=open%20sesame", statuses: everyone(200), shape: "{title:s messages:a}"},
	{method: "GET", path: "/api/shared/nothing", statuses: everyone(404)},
	{method: "GET", path: "/api/sessions/{{conversation}}/export/markdown", statuses: members(200), media: "text/markdown"},
	{method: "GET", path: "/api/sessions/{{conversation}}/export/pdf", statuses: members(200), media: "application/pdf"},
	{method: "GET", path: "/api/sessions/nothing/export/pdf", statuses: members(404)},
}

const (
	attachmentMembers       = "id:s message_id:s created_at:t messageId:s createdAt:t "
	attachmentShape   shape = "{" + attachmentMembers + "}"
)

var fileRows = []row{
	{method: "POST", path: "/api/files/upload", body: "form:file=@note.txt:Peak flow {{+nonce}}", statuses: members(201), shape: "{id:s url:s}"},
	{method: "POST", path: "/api/files/upload", body: "form:title=none", statuses: members(422)},
	{method: "GET", path: "/api/files/{{file}}", statuses: members(200), media: "text/plain"},
	{method: "GET", path: "/api/files/nothing", statuses: members(404)},
	{method: "DELETE", path: "/api/files/{{+file}}", statuses: members(200), shape: messageShape},
	{method: "GET", path: "/api/messages/{{message}}/attachments", statuses: members(200), shape: "[{" + attachmentMembers + "}]"},
	{method: "POST", path: "/api/messages/{{message}}/attachments", body: "form:file=@note.txt:Peak flow {{+nonce}}", statuses: members(201), shape: attachmentShape},
	{method: "GET", path: "/api/messages/nothing/attachments", statuses: members(404)},
	{method: "GET", path: "/api/attachments/{{attachment}}/download", statuses: members(200), media: "text/plain"},
	{method: "DELETE", path: "/api/attachments/{{+attachment}}", statuses: members(200), shape: messageShape},
}

const contextShape shape = "{id:s created_at:t createdAt:t}"

var clinicalRows = []row{
	{method: "GET", path: "/api/clinical-contexts", statuses: members(200), shape: anything},
	{method: "POST", path: "/api/clinical-contexts", body: `{"age":40,"chief_complaint":"wheeze","medications":["salbutamol"]}`, statuses: members(201), shape: contextShape},
	{method: "POST", path: "/api/clinical-contexts", body: `{"age":-3}`, statuses: members(422)},
	{method: "GET", path: "/api/clinical-contexts/current?session_id={{+conversation}}", statuses: members(200), shape: anything},
	{method: "GET", path: "/api/clinical-contexts/{{context}}", statuses: members(200), shape: contextShape},
	{method: "PUT", path: "/api/clinical-contexts/{{context}}", body: `{"age":41}`, statuses: members(200), shape: contextShape},
	{method: "DELETE", path: "/api/clinical-contexts/{{+context}}", statuses: members(200), shape: messageShape},
	{method: "GET", path: "/api/clinical-contexts/nothing", statuses: members(404)},
	{method: "GET", path: "/api/clinical-presets", statuses: members(200), shape: anything},
	{method: "POST", path: "/api/clinical-presets", body: `{"name":"{{+nonce}}","context":{"age":70}}`, statuses: members(201), shape: "{id:s name:s}"},
	{method: "GET", path: "/api/clinical-presets/{{preset}}", statuses: members(200), shape: "{id:s name:s}"},
	{method: "PUT", path: "/api/clinical-presets/{{preset}}", body: `{"name":"{{+nonce}}","context":{"age":71}}`, statuses: members(200), shape: "{id:s name:s}"},
	{method: "POST", path: "/api/clinical-presets/{{preset}}/apply", body: `{"session_id":"{{conversation}}"}`, statuses: members(201), shape: contextShape},
	{method: "DELETE", path: "/api/clinical-presets/{{+preset}}", statuses: members(200), shape: messageShape},
}
