package httpapi

import (
	"context"
	"maps"
	"time"

	voiceassist "github.com/voiceassist/backend"
)

// Figures is what this package asks of the ledger about the use of the system.
type Figures interface {
	Summary(ctx context.Context) (voiceassist.Summary, error)
	// Usage counts what happened on each of the last days, today being the last.
	Usage(ctx context.Context, days int) (voiceassist.Usage, error)
}

// summaryBody is the system in a few figures: v2's groups, and v1's totals.
type summaryBody struct {
	Users struct {
		Total  int `json:"total"`
		Active int `json:"active"`
		Admins int `json:"admins"`
	} `json:"users"`
	Conversations struct {
		Total int `json:"total"`
		Today int `json:"today" doc:"begun since midnight UTC"`
	} `json:"conversations"`
	Messages struct {
		Today int `json:"today" doc:"questions since midnight UTC"`
	} `json:"messages"`
	Documents documentFiguresBody `json:"documents"`
	System    struct {
		Status string `json:"status" enum:"healthy,degraded" doc:"degraded: /ready says not_ready"`
		Uptime int    `json:"uptime" doc:"seconds that this process has been serving"`
	} `json:"system"`
	TotalUsers  int    `json:"total_users"`
	ActiveUsers int    `json:"active_users"`
	AdminUsers  int    `json:"admin_users"`
	Timestamp   string `json:"timestamp" format:"date-time"`
}

type documentFiguresBody struct {
	Total    int            `json:"total"`
	ByStatus map[string]int `json:"by_status"`
}

// documentFigures adds up states in the words of the contract.
func documentFigures(states map[voiceassist.DocumentState]int) documentFiguresBody {
	body := documentFiguresBody{ByStatus: map[string]int{"uploaded": 0, "processing": 0, "indexed": 0, "failed": 0}}
	for state, n := range states {
		body.Total += n
		body.ByStatus[wireStatus(state)] += n
	}
	return body
}

func (s *Server) panelSummary(ctx context.Context, _ *none) (summaryBody, error) {
	f, err := s.o.Figures.Summary(ctx)
	if err != nil {
		return summaryBody{}, err
	}
	now := time.Now()
	body := summaryBody{TotalUsers: f.Users, ActiveUsers: f.ActiveUsers, AdminUsers: f.Admins, Timestamp: stamp(now)}
	body.Users.Total, body.Users.Active, body.Users.Admins = f.Users, f.ActiveUsers, f.Admins
	body.Conversations.Total, body.Conversations.Today = f.Conversations, f.ConversationsToday
	body.Messages.Today = f.QuestionsToday
	body.Documents = documentFigures(f.Documents)
	body.System.Uptime = int(now.Sub(s.started).Seconds())
	body.System.Status = "healthy"
	if !s.suffice(s.check(ctx)) {
		body.System.Status = "degraded"
	}
	return body, nil
}

type metricsInput struct {
	Days int `query:"days" minimum:"1" maximum:"365" default:"30" doc:"how many days back"`
}

// dayBody is a figure of one day, which begins and ends at midnight UTC.
type dayBody struct {
	Date  string `json:"date" format:"date"`
	Count int    `json:"count"`
}

// metricsBody is how the system was used, by day, oldest first. Every day of
// the period is there.
type metricsBody struct {
	DailyRegistrations []dayBody                `json:"daily_registrations" doc:"accounts made that there still are"`
	DailyActiveUsers   []dayBody                `json:"daily_active_users" doc:"who signed in, refreshed a token or asked a question"`
	UserDistribution   map[voiceassist.Role]int `json:"user_distribution" doc:"users by role"`
	Conversations      struct {
		Total int       `json:"total" doc:"begun in the period"`
		Daily []dayBody `json:"daily"`
	} `json:"conversations"`
	Messages struct {
		Total     int       `json:"total" doc:"in the period"`
		Questions int       `json:"questions"`
		Answers   int       `json:"answers"`
		Daily     []dayBody `json:"daily"`
	} `json:"messages"`
	Documents struct {
		Total    int            `json:"total" doc:"in the library"`
		ByStatus map[string]int `json:"by_status"`
		Uploaded int            `json:"uploaded" doc:"in the period"`
		Daily    []dayBody      `json:"daily"`
	} `json:"documents"`
	PeriodDays int    `json:"period_days"`
	Timestamp  string `json:"timestamp" format:"date-time"`
}

func (s *Server) panelMetrics(ctx context.Context, in *metricsInput) (metricsBody, error) {
	u, err := s.o.Figures.Usage(ctx, in.Days)
	if err != nil {
		return metricsBody{}, err
	}
	body := metricsBody{
		UserDistribution: map[voiceassist.Role]int{voiceassist.RoleUser: 0, voiceassist.RoleViewer: 0, voiceassist.RoleAdmin: 0},
		PeriodDays:       in.Days,
		Timestamp:        stamp(time.Now()),
	}
	body.DailyRegistrations, _ = daysOf(u.From, u.Registrations)
	body.DailyActiveUsers, _ = daysOf(u.From, u.ActiveUsers)
	maps.Copy(body.UserDistribution, u.Roles)
	body.Conversations.Daily, body.Conversations.Total = daysOf(u.From, u.Conversations)
	_, body.Messages.Questions = daysOf(u.From, u.Questions)
	_, body.Messages.Answers = daysOf(u.From, u.Answers)
	body.Messages.Daily, body.Messages.Total = daysOf(u.From, u.Questions, u.Answers)
	library := documentFigures(u.Documents)
	body.Documents.Total, body.Documents.ByStatus = library.Total, library.ByStatus
	body.Documents.Daily, body.Documents.Uploaded = daysOf(u.From, u.Uploads)
	return body, nil
}

// daysOf dates the figures of days, of which from is the first, and adds up
// those of several series and of all days.
func daysOf(from time.Time, series ...[]int) (days []dayBody, total int) {
	days = make([]dayBody, len(series[0]))
	for i := range days {
		days[i].Date = from.AddDate(0, 0, i).Format(time.DateOnly)
		for _, counts := range series {
			days[i].Count += counts[i]
			total += counts[i]
		}
	}
	return days, total
}
