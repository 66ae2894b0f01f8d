package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	voiceassist "github.com/voiceassist/backend"
	"github.com/voiceassist/backend/mail"
	"github.com/voiceassist/backend/postgres"
)

// Config is everything that is set from outside, by environment variables. The
// README has the same table for operators.
type Config struct {
	Port    int    `env:"PORT" envDefault:"8000"`
	Host    string `env:"HOST"` // the address to listen at; "" is all
	DataDir string `env:"DATA_DIR" envDefault:"./data"`

	Environment string `env:"ENVIRONMENT" envDefault:"production"` // which feature flags hold here

	DatabaseURL  string `env:"DATABASE_URL"`
	RedisURL     string `env:"REDIS_URL"`
	QdrantURL    string `env:"QDRANT_URL"`
	QdrantAPIKey string `env:"QDRANT_API_KEY"`
	BlobURL      string `env:"BLOB_URL"`

	AdminEmail    string        `env:"ADMIN_EMAIL" envDefault:"admin@example.com"`
	AdminPassword string        `env:"ADMIN_PASSWORD"`
	JWTSecrets    []string      `env:"JWT_SECRET"` // the first signs, all verify
	AccessTTL     time.Duration `env:"ACCESS_TOKEN_TTL" envDefault:"15m"`
	RefreshTTL    time.Duration `env:"REFRESH_TOKEN_TTL" envDefault:"168h"`
	SessionTTL    time.Duration `env:"SESSION_TTL" envDefault:"720h"` // of sessions, however busy
	Registration  string        `env:"REGISTRATION"`                  // open, invite, closed; "" is open in `up` and closed elsewhere

	SMTPURL   string `env:"SMTP_URL"`
	MailFrom  string `env:"MAIL_FROM"`
	PublicURL string `env:"PUBLIC_URL" envDefault:"http://localhost:5173"` // of the web app, for mailed links

	WebhookSecret string `env:"WEBHOOK_SECRET"` // signs webhooks; "": none are sent

	EraseAfter time.Duration `env:"USER_ERASE_AFTER" envDefault:"24h"` // from the deletion of a user

	UndeleteWindow time.Duration `env:"UNDELETE_WINDOW" envDefault:"72h"` // from the deletion of a document; 0 is for good at once
	VerifyAt       string        `env:"VERIFY_AT" envDefault:"03:00"`     // of the day in UTC; off is never

	CORSOrigins    []string `env:"CORS_ORIGINS" envDefault:"http://localhost:5173,http://localhost:5174,http://localhost:3000,https://voiceassist.asimo.io,https://admin.asimo.io,https://docs-voice.asimo.io"`
	TrustedProxies []string `env:"TRUSTED_PROXIES"` // addresses or networks
	SecureCookies  bool     `env:"SECURE_COOKIES"`
	MaxUploadMB    int64    `env:"MAX_UPLOAD_MB" envDefault:"50"`
	FileQuotaMB    int64    `env:"FILE_QUOTA_MB" envDefault:"1024"` // of the files of one user, documents of the library aside; 0 is no limit

	OpenAIKey      string `env:"OPENAI_API_KEY"`
	OpenAIBaseURL  string `env:"OPENAI_BASE_URL"`
	ChatModel      string `env:"CHAT_MODEL"`
	EmbeddingModel string `env:"EMBEDDING_MODEL"`
	EmbeddingDim   int    `env:"EMBEDDING_DIM" envDefault:"1536"`
	UnipdfKey      string `env:"UNIPDF_LICENSE_KEY"`

	EmbedRequests int `env:"EMBED_REQUESTS_PER_MINUTE" envDefault:"0"` // of all workers together; 0 is no limit
	EmbedTokens   int `env:"EMBED_TOKENS_PER_MINUTE" envDefault:"0"`   // likewise

	QueueWeights voiceassist.QueueWeights `env:"QUEUE_WEIGHTS" envDefault:"interactive=8,default=4,bulk=2,maintenance=1"` // that the worker serves

	WorkerConcurrency int           `env:"WORKER_CONCURRENCY"` // jobs at once; 0 is four for each processor
	Extractors        int           `env:"EXTRACTORS"`         // child processes; 0 is one for each processor
	ExtractTimeout    time.Duration `env:"EXTRACT_TIMEOUT" envDefault:"120s"`
	ExtractPage       time.Duration `env:"EXTRACT_PAGE_TIMEOUT" envDefault:"20s"` // without the next page
	ExtractMemoryMB   int64         `env:"EXTRACT_MEMORY_MB" envDefault:"1024"`
	ExtractMaxPages   int           `env:"EXTRACT_MAX_PAGES" envDefault:"10000"`
	ExtractPartPages  int           `env:"EXTRACT_PART_PAGES" envDefault:"64"`    // a PDF with more is read in parts
	EmbedPartPassages int           `env:"EMBED_PART_PASSAGES" envDefault:"1024"` // likewise
	RelayWindow       int           `env:"RELAY_WINDOW" envDefault:"16"`          // the least; more when the workers are fast
	ExtractMaxTextMB  int64         `env:"EXTRACT_MAX_TEXT_MB" envDefault:"64"`
	ExtractMaxBad     int           `env:"EXTRACT_MAX_BAD_PAGES" envDefault:"20"`
	ShutdownGrace     time.Duration `env:"SHUTDOWN_GRACE" envDefault:"8s"`
	MetricsAddr       string        `env:"METRICS_ADDR"` // of worker and scheduler; "" is 127.0.0.1:9101 and :9102

	LimitRegister  voiceassist.Rate `env:"RATE_LIMIT_REGISTER" envDefault:"5/h"`
	LimitLogin     voiceassist.Rate `env:"RATE_LIMIT_LOGIN" envDefault:"10/m"`
	LimitReset     voiceassist.Rate `env:"RATE_LIMIT_RESET" envDefault:"5/h"`
	LimitHealth    voiceassist.Rate `env:"RATE_LIMIT_HEALTH" envDefault:"100/m"`
	LimitAnonymous voiceassist.Rate `env:"RATE_LIMIT_ANONYMOUS" envDefault:"300/m"`
	LimitSession   voiceassist.Rate `env:"RATE_LIMIT_SESSION" envDefault:"6000/m"`
	LimitRefresh   voiceassist.Rate `env:"RATE_LIMIT_REFRESH" envDefault:"20/m"`

	LimitAdminActions voiceassist.Rate `env:"RATE_LIMIT_ADMIN_ACTIONS" envDefault:"120/m"`

	LogLevel  slog.Level `env:"LOG_LEVEL" envDefault:"INFO"`
	LogFormat string     `env:"LOG_FORMAT"` // text or json; "" is text on a terminal, json elsewhere

	// readerProgram is what children run that read documents or hash passwords; ""
	// is this program. Tests set it: the reader is slow under the race detector.
	readerProgram string
	// tempDir is where originals lie while they are read; "" is the system's.
	tempDir string
	// development is true in `up`: links that cannot be mailed go to the log.
	development bool
	// ephemeral makes the embedded Postgres forget everything at the end.
	ephemeral bool
	// embedded says that engines of this process keep their data in DataDir.
	embedded bool
}

// ReadConfig reads the configuration from environ, which is in the form of
// os.Environ. All faults are reported together.
func ReadConfig(environ []string) (Config, error) {
	c, err := env.ParseAsWithOptions[Config](env.Options{Environment: env.ToMap(environ)})
	faults := append(unreadable(err), c.faults()...)
	if err := errors.Join(faults...); err != nil {
		return c, fmt.Errorf("the configuration is wrong:\n%w", err)
	}
	c.WorkerConcurrency = cmp.Or(c.WorkerConcurrency, 4*runtime.GOMAXPROCS(0))
	c.Extractors = cmp.Or(c.Extractors, runtime.GOMAXPROCS(0))
	return c, nil
}

// unreadable returns the values that could not be read at all, by the names of
// their variables.
func unreadable(err error) []error {
	all, ok := errors.AsType[env.AggregateError](err)
	if !ok {
		if err == nil {
			return nil
		}
		return []error{err}
	}
	var faults []error
	for _, each := range all.Errors {
		if parse, ok := errors.AsType[env.ParseError](each); ok {
			field, _ := reflect.TypeFor[Config]().FieldByName(parse.Name)
			each = fmt.Errorf("%s: %w", field.Tag.Get("env"), parse.Err)
		}
		faults = append(faults, each)
	}
	return faults
}

func (c Config) faults() []error {
	var faults []error
	add := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	add(c.Port >= 0 && c.Port < 1<<16, "PORT: %d is no port", c.Port)
	add(voiceassist.IsEnvironment(c.Environment), "ENVIRONMENT: want a word of small letters, and not all")
	add(hasScheme(c.DatabaseURL, "postgres", "postgresql"), "DATABASE_URL: want postgres://…")
	add(hasScheme(c.RedisURL, "redis", "rediss"), "REDIS_URL: want redis://… or rediss://…")
	add(hasScheme(c.QdrantURL, "http", "https", "grpc"), "QDRANT_URL: want http://host:6334 or https://…, the gRPC port")
	add(hasScheme(c.BlobURL, "file", "s3"), "BLOB_URL: want file:///directory or s3://bucket")
	add(hasScheme(c.OpenAIBaseURL, "http", "https"), "OPENAI_BASE_URL: want http://… or https://…")
	for i, secret := range c.JWTSecrets {
		add(len(secret) >= 32, "JWT_SECRET: secret %d has %d bytes; it takes at least 32", i+1, len(secret))
	}
	_, err := voiceassist.NormalizeEmail(c.AdminEmail)
	add(err == nil, "ADMIN_EMAIL: not an address")
	add(c.AdminPassword == "" || voiceassist.CheckPassword(c.AdminPassword) == nil, "ADMIN_PASSWORD: too short or too common")
	add(slices.Contains([]string{"", "open", "invite", "closed"}, c.Registration), "REGISTRATION: want open, invite or closed")
	add(slices.Contains([]string{"", "text", "json"}, c.LogFormat), "LOG_FORMAT: want text or json")
	add(c.AccessTTL >= time.Minute, "ACCESS_TOKEN_TTL: want at least 1m")
	add(c.RefreshTTL > c.AccessTTL, "REFRESH_TOKEN_TTL: want longer than ACCESS_TOKEN_TTL")
	add(c.EraseAfter >= 0 && c.EraseAfter <= 365*24*time.Hour, "USER_ERASE_AFTER: want 0s to 8760h")
	add(c.UndeleteWindow >= 0 && c.UndeleteWindow <= 365*24*time.Hour, "UNDELETE_WINDOW: want 0s to 8760h")
	_, err = verifyTime(c.VerifyAt)
	add(err == nil, "VERIFY_AT: want a time of day in UTC such as 03:00, or off")
	add(c.SessionTTL >= c.RefreshTTL, "SESSION_TTL: want at least REFRESH_TOKEN_TTL")
	add(hasScheme(c.PublicURL, "http", "https") && c.PublicURL != "", "PUBLIC_URL: want http://… or https://…")
	add(c.WebhookSecret == "" || len(c.WebhookSecret) >= 16, "WEBHOOK_SECRET: it has %d bytes; it takes at least 16", len(c.WebhookSecret))
	if c.SMTPURL != "" {
		err := mail.CheckURL(c.SMTPURL)
		add(err == nil, "SMTP_URL: %v", err)
		add(mail.CheckSender(c.MailFrom) == nil, "MAIL_FROM: with SMTP_URL, want the sender's address, such as VoiceAssist <no-reply@example.com>")
	}
	add(c.MaxUploadMB > 0 && c.MaxUploadMB <= 1024, "MAX_UPLOAD_MB: want 1 to 1024")
	add(c.FileQuotaMB >= 0 && c.FileQuotaMB <= 1<<30, "FILE_QUOTA_MB: want 1 or more, or 0")
	add(c.EmbeddingDim > 0 && c.EmbeddingDim <= 65536, "EMBEDDING_DIM: want 1 to 65536")
	add(c.OpenAIBaseURL == "" && c.OpenAIKey == "" || c.ChatModel != "" || c.EmbeddingModel != "", "CHAT_MODEL, EMBEDDING_MODEL: an OpenAI service is given, name at least one of its models")
	add(c.ChatModel == "" && c.EmbeddingModel == "" || c.OpenAIBaseURL != "" || c.OpenAIKey != "", "OPENAI_API_KEY, OPENAI_BASE_URL: a model is named, give the service that has it")
	add(c.WorkerConcurrency >= 0 && c.WorkerConcurrency <= 1024, "WORKER_CONCURRENCY: want 1 to 1024, or 0")
	add(c.Extractors >= 0 && c.Extractors <= 256, "EXTRACTORS: want 1 to 256, or 0")
	add(c.ExtractTimeout > 0, "EXTRACT_TIMEOUT: want more than 0s")
	add(c.ExtractPage > 0, "EXTRACT_PAGE_TIMEOUT: want more than 0s")
	add(c.ExtractMemoryMB >= 128, "EXTRACT_MEMORY_MB: want at least 128")
	add(c.ExtractMaxPages > 0, "EXTRACT_MAX_PAGES: want at least 1")
	add(c.ExtractPartPages > 0, "EXTRACT_PART_PAGES: want at least 1")
	add(c.EmbedPartPassages > 0, "EMBED_PART_PASSAGES: want at least 1")
	add(c.RelayWindow > 0 && c.RelayWindow <= postgres.MaxWindow, "RELAY_WINDOW: want 1 to %d", postgres.MaxWindow)
	add(c.EmbedRequests >= 0 && c.EmbedRequests <= 1e6, "EMBED_REQUESTS_PER_MINUTE: want 1 to 1000000, or 0")
	add(c.EmbedTokens >= 0 && c.EmbedTokens <= 1e9, "EMBED_TOKENS_PER_MINUTE: want 1 to 1000000000, or 0")
	add(c.ExtractMaxTextMB > 0 && c.ExtractMaxTextMB <= 1024, "EXTRACT_MAX_TEXT_MB: want 1 to 1024")
	add(c.ExtractMaxBad > 0, "EXTRACT_MAX_BAD_PAGES: want at least 1")
	add(c.ShutdownGrace > 0, "SHUTDOWN_GRACE: want more than 0s")
	_, err = c.proxies()
	add(err == nil, "TRUSTED_PROXIES: %v", err)
	return faults
}

func hasScheme(raw string, schemes ...string) bool {
	if raw == "" {
		return true
	}
	u, err := url.Parse(raw)
	return err == nil && slices.Contains(schemes, u.Scheme)
}

// proxies returns TrustedProxies as networks.
func (c Config) proxies() ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, s := range c.TrustedProxies {
		s = strings.TrimSpace(s)
		if addr, err := netip.ParseAddr(s); err == nil {
			networks = append(networks, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		network, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a network", s)
		}
		networks = append(networks, network)
	}
	return networks, nil
}

// required returns an error that names every variable the separate processes
// need and have not got. `up` finds its own.
func (c Config) required(names ...string) error {
	values := map[string]string{
		"DATABASE_URL": c.DatabaseURL, "REDIS_URL": c.RedisURL, "QDRANT_URL": c.QdrantURL, "BLOB_URL": c.BlobURL,
		"JWT_SECRET": strings.Join(c.JWTSecrets, ""),
	}
	var missing []string
	for _, name := range names {
		if values[name] == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("not set: %s (`voiceassist up` needs none of them)", strings.Join(missing, ", "))
	}
	return nil
}

func (c Config) addr() string { return net.JoinHostPort(c.Host, fmt.Sprint(c.Port)) }

// logger returns the process's logger.
func (c Config) logger(out *os.File) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.LogLevel}
	info, err := out.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	if c.LogFormat == "text" || c.LogFormat == "" && terminal {
		return slog.New(slog.NewTextHandler(out, o))
	}
	return slog.New(slog.NewJSONHandler(out, o))
}
