package proof

import (
	"fmt"
	"io"
	"strings"
)

// Column is what a pairing has shown: the findings of each scenario by its name.
type Column struct {
	Pairing  string
	Findings map[string][]Finding
	// NotRun says why the pairing was not run; empty if it was.
	NotRun string
}

// Faults returns the number of failed checks.
func (c Column) Faults() int {
	faults := 0
	for _, findings := range c.Findings {
		faults += len(Faults(findings))
	}
	return faults
}

// WriteTable writes a table in Markdown: a line for each scenario, a column for each pairing. With checks it has a line
// for each check, too.
func WriteTable(to io.Writer, scenarios []Scenario, columns []Column, checks bool) error {
	var ran []Column
	var table strings.Builder
	for _, column := range columns {
		if column.NotRun == "" {
			ran = append(ran, column)
		}
	}
	table.WriteString("| scenario |")
	for _, column := range ran {
		table.WriteString(" " + column.Pairing + " |")
	}
	table.WriteString("\n|---|" + strings.Repeat("---|", len(ran)) + "\n")
	for _, scenario := range scenarios {
		if len(checksOf(ran, scenario.Name)) == 0 {
			continue
		}
		table.WriteString("| " + scenario.Name + " |")
		for _, column := range ran {
			table.WriteString(" " + summary(column.Findings[scenario.Name]) + " |")
		}
		table.WriteString("\n")
		if !checks {
			continue
		}
		for _, check := range checksOf(ran, scenario.Name) {
			table.WriteString("| - " + check + " |")
			for _, column := range ran {
				table.WriteString(" " + cell(column.Findings[scenario.Name], check) + " |")
			}
			table.WriteString("\n")
		}
	}
	for _, column := range columns {
		if column.NotRun != "" {
			fmt.Fprintf(&table, "\nNot run: %s: %s.\n", column.Pairing, column.NotRun)
		}
	}
	_, err := io.WriteString(to, table.String())
	return err
}

// summary returns the verdict on a scenario, the number of its checks and its figures.
func summary(findings []Finding) string {
	faults := 0
	var figures []string
	for _, finding := range findings {
		if !finding.OK {
			faults++
		}
		if finding.Figure != "" {
			figures = append(figures, inTable(finding.Figure))
		}
	}
	text := fmt.Sprintf("ok, %d checks", len(findings))
	switch {
	case faults == 1:
		text = fmt.Sprintf("**1 fault** in %d checks", len(findings))
	case faults > 1:
		text = fmt.Sprintf("**%d faults** in %d checks", faults, len(findings))
	}
	return strings.Join(append([]string{text}, figures...), "; ")
}

// inTable returns a text that does not end a cell.
func inTable(text string) string { return strings.ReplaceAll(text, "|", "/") }

// checksOf returns the checks of a scenario in their order. A pairing may lack the later ones, because an earlier one
// failed.
func checksOf(columns []Column, scenario string) []string {
	var longest []string
	for _, column := range columns {
		var checks []string
		for _, finding := range column.Findings[scenario] {
			checks = append(checks, finding.Check)
		}
		if len(checks) > len(longest) {
			longest = checks
		}
	}
	return longest
}

func cell(findings []Finding, check string) string {
	for _, finding := range findings {
		if finding.Check == check {
			verdict := "ok"
			if !finding.OK {
				verdict = "**fault**"
			}
			return verdict + ": " + inTable(finding.Seen)
		}
	}
	return "not reached"
}

// Faults returns the failed checks of a scenario as sentences.
func Faults(findings []Finding) []string {
	var faults []string
	for _, finding := range findings {
		if !finding.OK {
			faults = append(faults, finding.Check+": "+finding.Seen)
		}
	}
	return faults
}
