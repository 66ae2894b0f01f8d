package rag_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/voiceassist/backend/rag"
)

// aboutPapers are questions in plain words, answered by the paper named.
var aboutPapers = []struct{ paper, question string }{
	{"PMC1397864", "Does turmeric protect the heart after blood flow is blocked and restored?"},
	{"PMC1397864", "What does curcumin do to dying heart muscle cells in rats?"},
	{"PMC2832770", "Can holy basil ease nerve pain caused by chemotherapy in rats?"},
	{"PMC2832770", "Which substance in tulsi is responsible for relief of vincristine pain?"},
	{"PMC4238170", "Does basil oil stop cancer cells from spreading?"},
	{"PMC4569613", "How genetically different are basil species from one another?"},
	{"PMC4945999", "Do seed oils kill Candida in the mouth?"},
	{"PMC5234046", "Can an extract of holy basil raise acetylcholine production in aging brain blood vessel cells?"},
	{"PMC5301171", "Do chickens grow better when garlic powder is added to their feed?"},
	{"PMC5745208", "How are copper nanoparticles made with plants and do they kill bacteria?"},
	{"PMC5758638", "Do oils from citrus seeds kill mosquito larvae?"},
	{"PMC5758638", "Which lemon oil is the most deadly for dengue mosquitoes?"},
	{"PMC5806308", "Is wild basil oil toxic for human fibroblasts?"},
	{"PMC5824918", "What does salt stress do to HMGR expression in camphor tulsi?"},
	{"PMC5884149", "How much zinc and copper is in medicinal plants?"},
	{"PMC5891864", "Does holy basil make neurons in the hippocampus of rats denser?"},
	{"PMC5981179", "How do bacteria help plants survive flooded soil?"},
	{"PMC6150305", "Which compound of Ocimum labiatum inhibits the HIV protease?"},
	{"PMC6215600", "Can bacteria living inside plants break down diesel oil?"},
	{"PMC6281068", "Which herbs work against inflamed gums?"},
	{"PMC7380888", "How can you tell what animal a mosquito has bitten and whether it was immune to Ross River virus?"},
	{"PMC7599108", "Can aspirin together with metformin prevent bowel cancer?"},
	{"PMC7667753", "Should women be vaccinated against HPV after their cervical lesion has been cut out?"},
	{"PMC7844712", "How long do people with lymphoma that has reached the brain survive after a stem cell transplant?"},
	{"PMC7863429", "Is it worth irradiating bone metastases when there are only three of them?"},
	{"PMC7899845", "Does ear acupuncture reduce vomiting from cisplatin?"},
	{"PMC7906827", "Are the people in covid vaccine trials like the elderly in the general population?"},
	{"PMC7908724", "Could virtual reality prepare breast cancer patients for radiotherapy?"},
	{"PMC7941711", "Is S-1 an alternative to cisplatin and vinorelbine after lung cancer surgery?"},
	{"PMC7976658", "Can the anal sphincter be saved in low rectal cancer?"},
	{"PMC7988931", "Is immunotherapy safe before a liver tumour is removed?"},
	{"PMC7989018", "What is done when breast cancer progresses in a few places during endocrine therapy?"},
	{"PMC8078272", "Do drinkable nutrition supplements help patients with cancer of the oesophagus during radiotherapy?"},
	{"PMC8078272", "How common is malnutrition in esophageal cancer?"},
}

// offTopic are questions that no medical paper answers.
var offTopic = []string{
	"How do I bake a chocolate cake?",
	"What is the best way to cook a medium rare steak?",
	"How long should I boil eggs for a salad?",
	"Which football club won the Champions League in 2014?",
	"Who scored the most goals at the last world cup?",
	"How much income tax do I have to pay in Germany?",
	"Can I deduct the cost of my home office from my tax return?",
	"How do I change the engine oil of my car?",
	"What is the capital of Australia?",
	"Who wrote Pride and Prejudice?",
	"How do I reverse a linked list in Python?",
	"What is the weather going to be like tomorrow in Paris?",
	"How do I train my dog to sit?",
	"Which stocks should I buy this year?",
	"How do I get a mortgage with a low interest rate?",
	"What is the plot of the second Star Wars film?",
	"How do I tune a guitar?",
	"Which train goes from London to Edinburgh in the morning?",
	"How do I paint the walls of a small bedroom?",
	"When did the Roman Empire fall?",
	"How many people live in Tokyo?",
	"How do I fix a flat tyre on my bicycle?",
	"What time does the supermarket close on Sunday?",
	"How do I write a cover letter for a job as a lawyer?",
	"Which phone has the best camera?",
	"How do I remove a red wine stain from a carpet?",
	"Explain the offside rule in football",
	"What is the speed of light?",
	"How do I renew my passport?",
	"Give me a recipe for lentil soup with garlic and lemon",
	"How far is the moon from the earth?",
	"Which language is spoken in Brazil?",
}

// notHeld are medical questions that these thirty papers do not answer.
var notHeld = []string{
	"How is a broken wrist treated?",
	"What are the symptoms of gout?",
	"Which antibiotic is best for a bladder infection in pregnancy?",
	"How is Parkinson's disease diagnosed?",
	"What causes migraine with aura?",
	"How often should cholesterol be checked?",
	"What is the dose of paracetamol for a child?",
	"How is glaucoma operated on?",
	"Who is at risk of osteoporosis?",
	"What are the side effects of statins?",
	"How is asthma managed in school children?",
	"What is the treatment for psoriasis?",
}

// TestGateLetsQuestionsAboutTheLibraryPass asks plain-words questions and
// off-topic ones of the thirty papers and counts who gets an answer.
func TestGateLetsQuestionsAboutTheLibraryPass(t *testing.T) {
	t.Parallel()
	l := newLibrary(t)
	for _, path := range sharedFiles(t, "papers/*.gt.txt") {
		text := readShared(t, path)
		title, body, _ := strings.Cut(text, "\n")
		l.add(title, strings.ReplaceAll(strings.TrimSpace(body), "\n", "\n\n"))
	}
	service := rag.New(l.db, l.index, rag.Options{})
	user := l.user()
	asked := func(question string) bool {
		answer := ask(t, service, user, question)
		if (len(answer.Citations) == 0) != (answer.Content == rag.NothingFound) {
			t.Errorf("%q: %d citations with %q", question, len(answer.Citations), answer.Content)
		}
		l.checkQuotes(answer)
		return len(answer.Citations) > 0
	}

	var pass, wrongPass, heldPass int
	for _, q := range aboutPapers {
		if asked(q.question) {
			pass++
		} else {
			t.Logf("turned away: %s", q.question)
		}
	}
	for _, q := range offTopic {
		if asked(q) {
			wrongPass++
			t.Logf("let through: %s", q)
		}
	}
	for _, q := range notHeld {
		if asked(q) {
			heldPass++
		}
	}
	t.Logf("about the papers: %d of %d pass; off topic: %d of %d; medical, not held: %d of %d",
		pass, len(aboutPapers), wrongPass, len(offTopic), heldPass, len(notHeld))
	if pass < len(aboutPapers)-1 || wrongPass > 2 {
		t.Errorf("the gate has moved")
	}
}

// sharedFiles returns the files of the shared test data that match the
// pattern, except the papers' floats; the test is skipped without them.
func sharedFiles(t *testing.T, pattern string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(sharedData(t), pattern))
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, f := range all {
		if !strings.Contains(f, ".floats.") {
			files = append(files, f)
		}
	}
	if len(files) == 0 {
		t.Skip("no shared test data: set SHARED_DATA")
	}
	return files
}

func sharedData(t *testing.T) string {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; root != filepath.Dir(root); root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
	}
	dir := os.Getenv("SHARED_DATA")
	switch {
	case dir == "":
		return filepath.Join(root, "..", "shared", "data")
	case filepath.IsAbs(dir):
		return dir
	}
	return filepath.Join(root, dir)
}

func readShared(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
