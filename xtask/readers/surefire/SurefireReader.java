import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.maven.plugin.surefire.log.api.NullConsoleLogger;
import org.apache.maven.plugins.surefire.report.ReportTestCase;
import org.apache.maven.plugins.surefire.report.ReportTestSuite;
import org.apache.maven.plugins.surefire.report.TestSuiteXmlParser;

/**
 * Prints what Maven's report parser reads in a JUnit file, as lines of JSON: the totals, then each case. It knows no
 * files and no output of tests, and of several attempts only those before a success.
 */
class SurefireReader {
    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        List<ReportTestSuite> suites;
        try (InputStreamReader file =
                new InputStreamReader(new FileInputStream(arguments[0]), StandardCharsets.UTF_8)) {
            suites = new TestSuiteXmlParser(new NullConsoleLogger()).parse(file);
        }
        int tests = 0;
        int failures = 0;
        int errors = 0;
        int skipped = 0;
        for (ReportTestSuite suite : suites) {
            tests += suite.getNumberOfTests();
            failures += suite.getNumberOfFailures();
            errors += suite.getNumberOfErrors();
            skipped += suite.getNumberOfSkipped();
        }
        out.printf("{\"tests\":%d,\"failures\":%d,\"errors\":%d,\"skipped\":%d}%n", tests, failures, errors, skipped);
        for (ReportTestSuite suite : suites) {
            for (ReportTestCase test : suite.getTestCases()) {
                out.println(line(test));
            }
        }
    }

    private static String line(ReportTestCase test) {
        String outcome = test.hasFailure() ? "failure" : test.hasError() ? "error" : "passed";
        // An attempt before a success is kept in the fields of a failure, too.
        int flakes = test.getFlakyFailures().size() + test.getFlakyErrors().size();
        boolean failed = test.hasFailure() || test.hasError();
        if (test.hasSkipped()) {
            outcome = "skipped";
        }
        String reruns = failed ? "null" : Integer.toString(flakes);
        return "{\"classname\":" + quoted(test.getFullClassName()) + ",\"name\":" + quoted(test.getName())
                + ",\"outcome\":\"" + outcome + "\",\"kind\":" + quoted(failed ? test.getFailureType() : null)
                + ",\"message\":" + quoted(failed || test.hasSkipped() ? test.getFailureMessage() : null)
                + ",\"text\":" + quoted(failed ? test.getFailureDetail() : null) + ",\"reruns\":" + reruns + "}";
    }

    private static String quoted(String text) {
        if (text == null) {
            return "null";
        }
        StringBuilder quoted = new StringBuilder("\"");
        for (char one : text.toCharArray()) {
            if (one < ' ' || one == '"' || one == '\\' || one > '~') {
                quoted.append(String.format("\\u%04x", (int) one));
            } else {
                quoted.append(one);
            }
        }
        return quoted.append('"').toString();
    }
}
