package voiceassist

import "time"

// Summary is the state of the system in a few figures.
type Summary struct {
	Users              int
	ActiveUsers        int // that may sign in
	Admins             int
	Conversations      int
	ConversationsToday int // begun since midnight UTC
	QuestionsToday     int
	Documents          map[DocumentState]int
}

// Usage is how the system was used on the last days, of which the last is
// today. Each slice of days has one element a day, oldest first.
type Usage struct {
	From          time.Time // midnight UTC of the first day
	Registrations []int     // accounts made that there still are
	ActiveUsers   []int     // that signed in, refreshed a token or asked a question
	Conversations []int     // begun
	Questions     []int
	Answers       []int
	Uploads       []int // documents accepted that are not deleted
	Roles         map[Role]int
	Documents     map[DocumentState]int
}
