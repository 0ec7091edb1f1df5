package main

import (
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	conformreport "github.com/fakeentra/fakeentra/conformance/report"
	"github.com/fakeentra/fakeentra/conformance/suite"
)

// A reporting is what commands are told about reports.
type reporting struct {
	files    []string
	har      string
	badges   string
	before   []string
	streamed bool // reports in lines were written while the run went on
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

// linesExt is the end of the names of reports that are written while a run goes on.
const linesExt = ".jsonl"

// forms are chosen by the end of a file's name.
var forms = map[string]form{
	".json": func(w io.Writer, _ string, _ []*suite.Report, reports ...*suite.Report) error {
		if len(reports) != 1 {
			return errors.New("a report in .json is about one client; name a file whose name ends in .html, .xml, .sarif or .md for several")
		}
		return conformreport.Write(w, reports[0])
	},
	linesExt: func(w io.Writer, _ string, _ []*suite.Report, reports ...*suite.Report) error {
		for _, r := range reports {
			if err := conformreport.NewLines(w).All(r); err != nil {
				return err
			}
		}
		return nil
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

// check refuses what no report can be written to, before anything is run.
func (r *reporting) check() error {
	for _, file := range r.files {
		if forms[filepath.Ext(file)] == nil {
			ends := strings.Join(slices.Sorted(maps.Keys(forms)), ", ")
			return usage("name it report.json", "--report is %q; expected a file whose name ends in one of %s", file, ends)
		}
		if err := checkFolder("--report", file, filepath.Dir(file)); err != nil {
			return err
		}
	}
	for flag, folder := range map[string]string{"--har": r.har, "--badges": r.badges} {
		if folder == "" {
			continue
		}
		if err := checkFolder(flag, folder, folder); err != nil {
			return err
		}
	}
	_, err := r.earlier()
	return err
}

func checkFolder(flag, value, folder string) error {
	info, err := os.Stat(folder)
	if err != nil || !info.IsDir() {
		return usage("make it first", "%s is %q, and there is no folder %s", flag, value, folder)
	}
	return nil
}

// earlier reads the reports to compare with.
func (r *reporting) earlier() ([]*suite.Report, error) {
	var all []*suite.Report
	for _, file := range r.before {
		one, err := readReport(file)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
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
// this. command is the driver's.
func (r *reporting) write(stdout io.Writer, command []string, reports ...*suite.Report) error {
	before, err := r.earlier()
	if err != nil {
		return err
	}
	driver := driverFile(command)
	for _, file := range r.files {
		if r.streamed && filepath.Ext(file) == linesExt {
			continue
		}
		err := create(file, func(w io.Writer) error { return forms[filepath.Ext(file)](w, driver, before, reports...) })
		if err != nil {
			return err
		}
	}
	for _, one := range reports {
		if err := r.writeFolders(one); err != nil {
			return err
		}
	}
	return r.writeGitHub(stdout, driver, reports)
}

// A streaming writes reports in lines while a run goes on. What cannot be written is
// told when it is over.
type streaming struct {
	files []*os.File
	errs  []error
}

// stream begins the reports that are written while a run goes on.
func (r *reporting) stream() (*streaming, error) {
	s := &streaming{}
	r.streamed = true
	for _, file := range r.files {
		if filepath.Ext(file) != linesExt {
			continue
		}
		f, err := os.Create(file)
		if err != nil {
			_ = s.end(nil)
			return nil, unwritable(file, err)
		}
		s.files = append(s.files, f)
	}
	return s, nil
}

func (s *streaming) each(write func(conformreport.Lines) error) {
	for _, f := range s.files {
		if err := write(conformreport.NewLines(f)); err != nil {
			s.errs = append(s.errs, unwritable(f.Name(), err))
		}
	}
}

// end ends the reports; without a report there is no more to say. It returns the
// first error that there was.
func (s *streaming) end(r *suite.Report) error {
	if r != nil {
		s.each(func(l conformreport.Lines) error { return l.End(r) })
	}
	for _, f := range s.files {
		if err := f.Close(); err != nil {
			s.errs = append(s.errs, unwritable(f.Name(), err))
		}
	}
	if len(s.errs) > 0 {
		return s.errs[0]
	}
	return nil
}

// create writes a file.
func create(file string, write func(io.Writer) error) error {
	f, err := os.Create(file)
	if err == nil {
		err = errors.Join(write(f), f.Close())
	}
	if err != nil {
		return unwritable(file, err)
	}
	return nil
}

func unwritable(file string, err error) error {
	return failed("name another file", "cannot write %s: %v", file, cause(err))
}

func (r *reporting) writeFolders(one *suite.Report) error {
	if r.badges != "" {
		for _, s := range one.Standings {
			if err := create(filepath.Join(r.badges, "badge-"+s.Level+".json"), func(w io.Writer) error { return conformreport.Badge(w, s) }); err != nil {
				return err
			}
		}
	}
	if r.har == "" {
		return nil
	}
	for _, result := range one.Results {
		if result.Verdict == suite.Pass || result.Verdict == suite.Skip {
			continue
		}
		if err := create(filepath.Join(r.har, result.ID+".har"), func(w io.Writer) error { return conformreport.HAR(w, one, result) }); err != nil {
			return err
		}
	}
	return nil
}

// writeGitHub has a run of GitHub Actions show what was found beside the driver,
// and on its page.
func (r *reporting) writeGitHub(stdout io.Writer, driver string, reports []*suite.Report) error {
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
// driver's command that is one.
func driverFile(command []string) string {
	for _, word := range slices.Backward(command) {
		if info, err := os.Stat(word); err == nil && info.Mode().IsRegular() {
			return filepath.ToSlash(filepath.Clean(word))
		}
	}
	return "driver"
}
