package cmd

import (
	"strings"
	"testing"
	"time"
)

func TestAnEmptyEnvironmentIsAGoodConfiguration(t *testing.T) {
	t.Parallel()
	c, err := ReadConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Port != 8000 || c.DataDir != "./data" || c.AccessTTL != 15*time.Minute || c.WorkerConcurrency < 1 || c.LimitRegister.N != 5 {
		t.Errorf("the defaults are %+v", c)
	}
}

func TestAllFaultsOfAConfigurationAreToldAtOnce(t *testing.T) {
	t.Parallel()
	_, err := ReadConfig([]string{
		"PORT=eight", "DATABASE_URL=mysql://x", "REDIS_URL=http://x", "QDRANT_URL=localhost:6334", "BLOB_URL=ftp://x",
		"JWT_SECRET=sesame", "ADMIN_EMAIL=nobody", "ADMIN_PASSWORD=password", "REGISTRATION=perhaps", "LOG_LEVEL=LOUD",
		"RATE_LIMIT_LOGIN=often", "TRUSTED_PROXIES=everyone", "EXTRACT_MEMORY_MB=1", "CHAT_MODEL=gpt", "SHUTDOWN_GRACE=0s", "USER_ERASE_AFTER=-1h",
		"SMTP_URL=http://user:sesame@host", "EXTRACT_PAGE_TIMEOUT=0s", "EXTRACT_MAX_TEXT_MB=0", "EXTRACT_MAX_BAD_PAGES=0", "EXTRACT_PART_PAGES=0", "EMBED_PART_PASSAGES=-1", "PUBLIC_URL=app.example.org", "SESSION_TTL=1h",
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{
		"PORT", "DATABASE_URL", "REDIS_URL", "QDRANT_URL", "BLOB_URL", "JWT_SECRET", "ADMIN_EMAIL", "ADMIN_PASSWORD", "REGISTRATION",
		"LOG_LEVEL", "RATE_LIMIT_LOGIN", "TRUSTED_PROXIES", "EXTRACT_MEMORY_MB", "OPENAI_API_KEY", "SHUTDOWN_GRACE", "USER_ERASE_AFTER",
		"SMTP_URL", "MAIL_FROM", "PUBLIC_URL", "SESSION_TTL", "EXTRACT_PAGE_TIMEOUT", "EXTRACT_MAX_TEXT_MB", "EXTRACT_MAX_BAD_PAGES", "EXTRACT_PART_PAGES", "EMBED_PART_PASSAGES",
	} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not tell of %s:\n%v", name, err)
		}
	}
	if strings.Contains(err.Error(), "sesame") {
		t.Errorf("the error tells the secret:\n%v", err)
	}
}

func TestSeparateProcessesNameEveryVariableTheyLack(t *testing.T) {
	t.Parallel()
	err := Config{RedisURL: "redis://x"}.required(NeedsAPI...)
	if err == nil || !strings.Contains(err.Error(), "DATABASE_URL, QDRANT_URL, BLOB_URL, JWT_SECRET") {
		t.Errorf("required = %v", err)
	}
}
