package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	conformreport "github.com/fakeentra/fakeentra/conformance/report"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// A reporting is what commands are told about reports.
type reporting struct {
	files   []string
	har     string
	badges  string
	before  []string
	earlier []*suite.Report // what before names
	lines   *streaming      // writes reports in lines while the run goes on; nil if there is no run
}

func (r *reporting) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&r.files, "report", nil, "write the report to a `FILE`, in the form that its name says: .json, .jsonl (a line for each check as soon as it has its verdict), .html, .xml (JUnit), .sarif or .md; several are separated by commas")
	f.StringSliceVar(&r.before, "before", nil, "compare with the report in a `FILE` of an earlier run, in .json or .jsonl, on the page in .html")
	f.StringVar(&r.har, "har", "", "write an HTTP archive for each check that is not met to a `FOLDER`")
	f.StringVar(&r.badges, "badges", "", "write a badge for each level to a `FOLDER`, as shields.io reads them")
}

// A form writes reports. file is the driver, for forms that show findings there.
type form func(w io.Writer, file string, before []*suite.Report, reports ...*suite.Report) error

// The ends of the names of reports that programs read, and that are about one client.
// Those in lines are written while a run goes on.
const (
	jsonExt  = ".json"
	linesExt = ".jsonl"
)

// forms are chosen by the end of a file's name.
var forms = map[string]form{
	jsonExt: func(w io.Writer, _ string, _ []*suite.Report, reports ...*suite.Report) error {
		return conformreport.Write(w, reports[0])
	},
	linesExt: func(w io.Writer, _ string, _ []*suite.Report, reports ...*suite.Report) error {
		return conformreport.NewLines(w).All(reports[0])
	},
	".html": func(w io.Writer, _ string, before []*suite.Report, reports ...*suite.Report) error {
		return conformreport.HTML(w, before, reports...)
	},
	".xml": func(w io.Writer, _ string, _ []*suite.Report, reports ...*suite.Report) error {
		return conformreport.JUnit(w, reports...)
	},
	".sarif": func(w io.Writer, file string, _ []*suite.Report, reports ...*suite.Report) error {
		return conformreport.SARIF(w, file, reports...)
	},
	".md": func(w io.Writer, _ string, _ []*suite.Report, reports ...*suite.Report) error {
		return conformreport.Summary(w, reports...)
	},
}

// check refuses what no report can be written to, and reads those to compare with,
// before anything is run. It leaves all as it is.
func (r *reporting) check() error {
	for _, file := range r.files {
		if forms[filepath.Ext(file)] == nil {
			ends := strings.Join(slices.Sorted(maps.Keys(forms)), ", ")
			return usage("name it report.json", "--report is %q; expected a file whose name ends in one of %s", file, ends)
		}
		if err := checkFolder("--report", file, filepath.Dir(file)); err != nil {
			return err
		}
		if err := checkFile("--report", file, file); err != nil {
			return err
		}
	}
	for _, one := range []struct{ flag, folder string }{{"--har", r.har}, {"--badges", r.badges}} {
		if one.folder == "" {
			continue
		}
		if err := checkFolder(one.flag, one.folder, one.folder); err != nil {
			return err
		}
		if err := checkFile(one.flag, one.folder, filepath.Join(one.folder, ".fakeentra")); err != nil {
			return err
		}
	}
	for _, file := range r.before { // now, since the run may write to it
		one, err := readReport(file)
		if err != nil {
			return err
		}
		r.earlier = append(r.earlier, one)
	}
	return nil
}

// checkSeveral refuses files that cannot be about several clients.
func (r *reporting) checkSeveral(clients int) error {
	for _, file := range r.files {
		if ext := filepath.Ext(file); clients > 1 && (ext == jsonExt || ext == linesExt) {
			return usage("name a file whose name ends in .html, .xml, .sarif or .md", "--report is %q, which would be about one client, but there are %d", file, clients)
		}
	}
	return nil
}

func checkFolder(flag, value, folder string) error {
	info, err := os.Stat(folder)
	if err != nil || !info.IsDir() {
		return usage("make it first", "%s is %q, and there is no folder %s", flag, value, folder)
	}
	return nil
}

// checkFile refuses the value of a flag for which a file cannot be written, in a folder
// that there is.
func checkFile(flag, value, file string) error {
	info, err := os.Stat(file)
	switch {
	case err == nil && info.IsDir():
		return usage("name a file", "%s is %q, which is a folder", flag, value)
	case err == nil && !info.Mode().IsRegular():
		return nil // to open a pipe is to wait for whoever reads it
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) {
			return nil // a link to a file that is to be made
		}
		defer func() {
			if err == nil {
				_ = os.Remove(file) // the run may come to nothing
			}
		}()
	}
	if err != nil {
		return usage("name another one, or make it writable", "%s is %q, which cannot be written to: %v", flag, value, cause(err))
	}
	_ = f.Close() // nothing was written
	return nil
}

func readReport(file string) (*suite.Report, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, usage("name a report that conform run --report wrote", "cannot read %s: %v", file, cause(err))
	}
	defer func() { _ = f.Close() }()
	one, err := conformreport.Read(f)
	if err != nil {
		return nil, usage("name a report that conform run --report wrote", "%s: %v", file, err)
	}
	return one, nil
}

// write writes all that was asked for, and what GitHub Actions shows if they run
// this. command is the driver's. What cannot be written keeps nothing else from being
// written, and is returned.
func (r *reporting) write(ctx context.Context, stdout io.Writer, command []string, reports ...*suite.Report) []error {
	var errs []error
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	driver := driverFile(command)
	for _, file := range r.files {
		if r.lines != nil && filepath.Ext(file) == linesExt {
			continue
		}
		note(create(ctx, file, func(w io.Writer) error { return forms[filepath.Ext(file)](w, driver, r.earlier, reports...) }))
	}
	folders := clientFolders(reports)
	for i, one := range reports {
		if r.badges != "" {
			note(writeBadges(ctx, filepath.Join(r.badges, folders[i]), one))
		}
		if r.har != "" {
			note(writeHAR(ctx, filepath.Join(r.har, folders[i]), one))
		}
	}
	note(writeGitHub(stdout, driver, reports))
	return errs
}

// unwritten tells what could not be written, and returns what decides on the exit code
// of a command that came to outcome without that.
func unwritten(stderr io.Writer, errs []error, outcome error) error {
	for _, err := range errs {
		complain(stderr, explain(err))
	}
	if outcome == nil && len(errs) > 0 {
		return exitStatus(exitFailure)
	}
	return outcome
}

// A streaming writes reports in lines while a run goes on. What cannot be written is
// told when it is over.
type streaming struct {
	names []string
	files []*os.File
	errs  []error
}

// stream has reports in lines written while a run with these options goes on. They
// begin when the driver has said who it is: a run that does not come to that leaves
// what was there.
func (r *reporting) stream(ctx context.Context, o *suite.Options) {
	s := &streaming{}
	for _, file := range r.files {
		if filepath.Ext(file) == linesExt {
			s.names = append(s.names, file)
		}
	}
	r.lines = s
	met, done := o.Met, o.Done
	o.Met = func(report *suite.Report) {
		met(report) // which may add to it
		s.open(ctx)
		s.each(func(l conformreport.Lines) error { return l.Begin(report) })
	}
	o.Done = func(result suite.Result) {
		s.each(func(l conformreport.Lines) error { return l.Result(result) })
		done(result)
	}
}

func (s *streaming) open(ctx context.Context) {
	for _, name := range s.names {
		f, err := openUntil(ctx, name)
		if err != nil {
			s.errs = append(s.errs, unwritable(name, err))
			continue
		}
		s.files = append(s.files, f)
	}
}

// openUntil opens a file to write to. A pipe is written to as fast as it is read, but
// for a second at most when the run is interrupted.
func openUntil(ctx context.Context, name string) (*os.File, error) {
	open := func(flag int) (*os.File, error) {
		// os.Create opens a pipe to be read, too, which then never breaks.
		return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|flag, 0o666)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
		return open(0)
	}
	f, err := awaitReader(ctx, open)
	if err == nil {
		context.AfterFunc(ctx, func() { _ = f.SetWriteDeadline(time.Now().Add(time.Second)) })
	}
	return f, err
}

// awaitReader opens a pipe when somebody reads it, unless the run is interrupted first.
func awaitReader(ctx context.Context, open func(flag int) (*os.File, error)) (*os.File, error) {
	// Whoever reads it already is found even when the run is interrupted by now.
	f, err := open(syscall.O_NONBLOCK)
	if !errors.Is(err, syscall.ENXIO) {
		return f, err
	}
	type opened struct {
		*os.File
		err error
	}
	read := make(chan opened, 1)
	go func() { // which is still at it when the program ends, if nobody comes
		f, err := open(0)
		read <- opened{f, err}
	}()
	select {
	case o := <-read:
		return o.File, o.err
	case <-ctx.Done():
		return nil, errors.New("nobody reads it")
	}
}

// each writes to all files but those to which that failed before.
func (s *streaming) each(write func(conformreport.Lines) error) {
	s.files = slices.DeleteFunc(s.files, func(f *os.File) bool {
		err := write(conformreport.NewLines(f))
		if err != nil {
			_ = f.Close() // that it cannot be written is told
			s.errs = append(s.errs, unwritable(f.Name(), err))
		}
		return err != nil
	})
}

// end ends the reports, and returns what went wrong with them.
func (s *streaming) end(r *suite.Report) []error {
	s.each(func(l conformreport.Lines) error { return l.End(r) })
	for _, f := range s.files {
		if err := f.Close(); err != nil {
			s.errs = append(s.errs, unwritable(f.Name(), err))
		}
	}
	return s.errs
}

// create writes a file when all that belongs in it is there.
func create(ctx context.Context, name string, write func(io.Writer) error) error {
	var b bytes.Buffer
	err := write(&b)
	if err == nil {
		var f *os.File
		if f, err = openUntil(ctx, name); err == nil {
			_, err = f.Write(b.Bytes())
			err = cmp.Or(err, f.Close())
		}
	}
	if err != nil {
		return unwritable(name, err)
	}
	return nil
}

func unwritable(file string, err error) error {
	return failed("name another file", "cannot write %s: %v", file, cause(err))
}

// clientFolders names a folder for each of several clients, which have files of the
// same names. One alone needs none.
func clientFolders(reports []*suite.Report) []string {
	folders := make([]string, len(reports))
	if len(reports) == 1 {
		return folders
	}
	taken := map[string]bool{}
	for i, r := range reports {
		who := r.Driver.Implementation
		name := folderName(who.Name + "-" + who.Version + "-" + who.Language)
		folders[i] = name
		for n := 2; taken[strings.ToLower(folders[i])]; n++ {
			folders[i] = fmt.Sprintf("%s-%d", name, n)
		}
		taken[strings.ToLower(folders[i])] = true
	}
	return folders
}

// folderName makes of a text what a folder can be called on every system.
func folderName(text string) string {
	const most = 100
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._"
	words := strings.FieldsFunc(text, func(r rune) bool { return !strings.ContainsRune(plain, r) })
	name := strings.Join(words, "-")
	return cmp.Or(strings.Trim(name[:min(most, len(name))], "-."), "client")
}

// writeBadges writes a badge for each level to a folder.
func writeBadges(ctx context.Context, folder string, one *suite.Report) error {
	for _, s := range one.Standings {
		if err := createIn(ctx, folder, "badge-"+s.Level+".json", func(w io.Writer) error { return conformreport.Badge(w, s) }); err != nil {
			return err
		}
	}
	return nil
}

// writeHAR writes the exchanges of each check that is not met to a folder.
func writeHAR(ctx context.Context, folder string, one *suite.Report) error {
	for _, result := range one.Results {
		if result.Verdict == suite.Pass || result.Verdict == suite.Skip {
			continue
		}
		if err := createIn(ctx, folder, result.ID+".har", func(w io.Writer) error { return conformreport.HAR(w, one, result) }); err != nil {
			return err
		}
	}
	return nil
}

// createIn writes a file to a folder, which it makes if need be.
func createIn(ctx context.Context, folder, name string, write func(io.Writer) error) error {
	if err := os.Mkdir(folder, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return unwritable(folder, err)
	}
	return create(ctx, filepath.Join(folder, name), write)
}

// writeGitHub has a run of GitHub Actions show what was found beside the driver,
// and on its page.
func writeGitHub(stdout io.Writer, driver string, reports []*suite.Report) error {
	if os.Getenv("GITHUB_ACTIONS") != "true" {
		return nil
	}
	if err := conformreport.Annotations(stdout, driver, reports...); err != nil {
		return err
	}
	summary := os.Getenv("GITHUB_STEP_SUMMARY")
	if summary == "" {
		return nil
	}
	f, err := os.OpenFile(summary, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		err = errors.Join(conformreport.Summary(f, reports...), f.Close())
	}
	if err != nil {
		return failed("", "cannot write the summary to %s: %v", summary, cause(err))
	}
	return nil
}

// driverFile is the file that findings are shown beside: the last word of the
// driver's command that is one, as it is called in the repository that GitHub Actions
// have, or in the working directory.
func driverFile(command []string) string {
	for _, word := range slices.Backward(command) {
		info, err := os.Stat(word)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		path, err := filepath.Abs(word)
		if root := os.Getenv("GITHUB_WORKSPACE"); err == nil && root != "" {
			if inside, err := filepath.Rel(root, path); err == nil && filepath.IsLocal(inside) {
				word = inside
			}
		}
		return filepath.ToSlash(filepath.Clean(word))
	}
	return "driver"
}
