package contract_test

// Shapes that many replies share.
const (
	userMembers = `id:s email:s full_name:s name:s first_name:s last_name:s specialty:s is_active:b is_admin:b admin_role:s role:s
		created_at:t updated_at:t last_login:t? fullName:s firstName:s lastName:s isActive:b isAdmin:b adminRole:s createdAt:t updatedAt:t lastLogin:t? `
	tokenMembers = "access_token:s refresh_token:s token_type:s expires_in:n refresh_expires_in:n "

	userShape    shape = "{" + userMembers + "}"
	tokenShape   shape = "{" + tokenMembers + "role:s user:{" + userMembers + "}}"
	registered   shape = "{" + userMembers + tokenMembers + "user:{" + userMembers + "}}"
	messageShape shape = "{message:s}"
	anything     shape = "*"
	object       shape = "{}"

	echoedRate = "rate_limit:{limit:n remaining:n reset_in:n} "
)

var healthRows = []row{
	{method: "GET", path: "/", statuses: everyone(200), shape: object},
	{method: "GET", path: "/health", statuses: everyone(200), shape: "{status:s version:s timestamp:n}"},
	{method: "GET", path: "/live", statuses: everyone(200), shape: object},
	{method: "GET", path: "/ready", statuses: everyone(200), shape: "{status:s checks:{postgres:b redis:b qdrant:b nextcloud:b} timestamp:n}"},
	{method: "GET", path: "/metrics", statuses: everyone(200), media: "text/plain"},
	{method: "GET", path: "/docs", statuses: everyone(200), media: "text/html"},
	{method: "GET", path: "/redoc", statuses: everyone(200), media: "text/html"},
	{method: "GET", path: "/docs/docs.js", statuses: everyone(200), media: "text/javascript"},
	{method: "GET", path: "/docs/swagger-ui-bundle.js", statuses: everyone(200), media: "text/javascript"},
	{method: "GET", path: "/docs/swagger-ui.css", statuses: everyone(200), media: "text/css"},
	{method: "GET", path: "/docs/favicon-32x32.png", statuses: everyone(200), media: "image/png"},
	{method: "GET", path: "/redoc/redoc.standalone.js", statuses: everyone(200), media: "text/javascript"},
	{method: "GET", path: "/openapi.json", statuses: everyone(200), media: "application/json"},
	{method: "GET", path: "/asyncapi.json", statuses: everyone(200), media: "application/json"},
	{method: "GET", path: "/ws", statuses: everyone(426)},
}

var accountRows = []row{
	{method: "POST", path: "/api/auth/register", body: `{"email":"{{+email}}","password":"a-fine-password","full_name":"Ada Lovelace"}`, statuses: everyone(201), shape: registered},
	{method: "POST", path: "/api/auth/register", body: `{"email":"{{+email}}","password":"a-fine-password","first_name":"Ada","last_name":"Lovelace","specialty":"cardiology"}`, statuses: everyone(201), shape: registered},
	{method: "POST", path: "/api/auth/register", body: `{"email":"admin@example.com","password":"a-fine-password","full_name":"Somebody Else"}`, statuses: everyone(409)},
	{method: "POST", path: "/api/auth/register", body: `{"email":"nobody","password":"short","full_name":"X"}`, statuses: everyone(422)},
	{method: "POST", path: "/api/auth/register", body: `{`, statuses: everyone(400)},
	{method: "POST", path: "/api/auth/login", body: `{"email":"admin@example.com","password":"` + adminPassword + `"}`, statuses: everyone(200), shape: tokenShape},
	{method: "POST", path: "/api/auth/login", body: `{"email":"{{+email}}","password":"not the password"}`, statuses: everyone(401)},
	{method: "POST", path: "/api/auth/login", body: `{"email":3}`, statuses: everyone(422)},
	{method: "POST", path: "/api/auth/refresh", body: `{"refresh_token":"{{+refresh}}"}`, statuses: everyone(200), shape: tokenShape},
	{method: "POST", path: "/api/auth/refresh", body: `{"refresh_token":"x"}`, statuses: everyone(401)},
	{method: "POST", path: "/api/auth/logout", body: `{"refresh_token":"{{+refresh}}"}`, statuses: everyone(200), shape: messageShape, fresh: true},
	{method: "GET", path: "/api/auth/me", statuses: members(200), shape: userShape},
	{method: "GET", path: "/api/users/me", statuses: members(200), shape: userShape},
	{method: "GET", path: "/api/auth/session", statuses: members(200), shape: `{absolute_timeout_hours:n inactivity_timeout_minutes:n
		absolute_remaining_seconds:n inactivity_remaining_seconds:n session_started_at:t last_activity_at:t}`},
	{method: "POST", path: "/api/auth/forgot-password", body: `{"email":"{{+email}}"}`, statuses: everyone(200), shape: messageShape},
	{method: "POST", path: "/api/auth/reset-password", body: `{"token":"not a token of ours","new_password":"a-fine-password"}`, statuses: everyone(422)},
	{method: "POST", path: "/api/auth/accept-invitation", body: `{"token":"not a token of ours","password":"a-fine-password","full_name":"Ada Lovelace"}`, statuses: everyone(422)},
	{method: "POST", path: "/api/users/me/change-password", body: `{"old_password":"` + userPassword + `","new_password":"a-finer-password"}`, statuses: members(200), shape: messageShape, fresh: true},
	{method: "POST", path: "/api/users/me/change-password", body: `{"old_password":"wrong-password","new_password":"a-finer-password"}`, statuses: members(422)},
	{method: "PUT", path: "/api/users/me/password", body: `{"currentPassword":"` + userPassword + `","newPassword":"a-finer-password"}`, statuses: members(200), shape: messageShape, fresh: true},

	{method: "GET", path: "/api/auth/2fa/status", statuses: members(200), shape: "{enabled:b}"},
	{method: "POST", path: "/api/auth/2fa/setup", body: `{}`, statuses: members(200), shape: "{secret:s}", fresh: true},
	{method: "POST", path: "/api/auth/2fa/verify", body: `{"code":"000000"}`, statuses: members(409)},
	{method: "POST", path: "/api/auth/2fa/disable", body: `{"password":"` + userPassword + `"}`, statuses: members(409), fresh: true},
	{method: "POST", path: "/api/auth/2fa/backup-codes", body: `{"password":"` + userPassword + `"}`, statuses: members(409), fresh: true},
	{method: "POST", path: "/api/auth/2fa/verify-login", body: `{"user_id":"{{me}}","code":"000000"}`, statuses: everyone(422)},
	{method: "POST", path: "/api/auth/2fa/verify-login", body: `{"user_id":"{{me}}","challenge":"x","code":"000000"}`, statuses: everyone(401)},
	{method: "GET", path: "/api/auth/api-keys", statuses: members(200), shape: "{}"},
	{method: "POST", path: "/api/auth/api-keys", body: `{"name":"a key","scopes":["read"]}`, statuses: members(201), shape: "{id:s name:s key:s created_at:t}"},
	{method: "POST", path: "/api/auth/api-keys", body: `{"name":""}`, statuses: members(422)},
	{method: "DELETE", path: "/api/auth/api-keys/{{+apikey}}", statuses: members(200), shape: messageShape},
	{method: "DELETE", path: "/api/auth/api-keys/nothing", statuses: members(404)},
}

const userPage shape = "{total:n offset:n limit:n items:[{" + userMembers + "}]}"

var userRows = []row{
	{method: "PUT", path: "/api/users/me", body: `{"full_name":"Ada King","specialty":"cardiology"}`, statuses: members(200), shape: userShape, fresh: true},
	{method: "PUT", path: "/api/users/me", body: `{"email":"admin@example.com"}`, statuses: members(409), fresh: true},
	{method: "PUT", path: "/api/users/me", body: `{"full_name":7}`, statuses: members(422)},
	{method: "DELETE", path: "/api/users/me", statuses: members(200), shape: messageShape, fresh: true},
	{method: "GET", path: "/api/users?limit=5", statuses: statuses{401, 403, 403, 200}, shape: userPage, flat: "[{" + userMembers + "}]"},
	{method: "GET", path: "/api/users?offset=-1", statuses: statuses{401, 403, 403, 422}},
	{method: "GET", path: "/api/users/{{me}}", statuses: members(200), shape: userShape},
	{method: "GET", path: "/api/users/{{user}}", statuses: admins(200), shape: userShape},
	{method: "GET", path: "/api/users/nobody", statuses: admins(404)},
	{method: "PATCH", path: "/api/users/{{me}}", body: `{"specialty":"neurology"}`, statuses: members(200), shape: userShape},
	{method: "PATCH", path: "/api/users/{{user}}", body: `{"full_name":"Ada Byron"}`, statuses: admins(200), shape: userShape},
	{method: "DELETE", path: "/api/users/{{+user}}", statuses: admins(200), shape: messageShape},
	{method: "PUT", path: "/api/users/{{+inactive user}}/activate", statuses: admins(200), shape: userShape},
	{method: "PUT", path: "/api/users/{{+user}}/deactivate", statuses: admins(200), shape: userShape},
	{method: "PUT", path: "/api/users/{{+user}}/promote-admin", statuses: admins(200), shape: userShape},
	{method: "PUT", path: "/api/users/{{+other admin}}/revoke-admin", statuses: admins(200), shape: userShape},
	{method: "PUT", path: "/api/users/{{me}}/revoke-admin", statuses: admins(400)},
	{method: "PUT", path: "/api/users/{{me}}/deactivate", statuses: admins(400)},
}
