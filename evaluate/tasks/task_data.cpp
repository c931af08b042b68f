#include "evaluate/tasks/task_data.h"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <utf8proc.h>

namespace edgellm {
namespace {

constexpr size_t kMostRecordBytes = size_t{16} << 20;  // a longer one is another kind of file
constexpr size_t kMostNamed = 3;                       // broken records in an error's one line

// The start of `text` for an error message, on one line.
std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 60)) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte >= 0x7f ? std::string("?") : std::string(1, c);
  }
  return text.size() > 60 ? out + "..." : out;
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

bool is_utf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (size_t at = 0; at < text.size();) {
    utf8proc_int32_t code_point;
    const auto n = utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(text.size() - at), &code_point);
    if (n <= 0) return false;
    at += static_cast<size_t>(n);
  }
  return true;
}

// Physical lines of a file, counted from 1, without their line ends.
class LineReader {
 public:
  static Result<LineReader> open(const std::filesystem::path& path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored))
      return Error{fmt::format("{}: wanted a data file, got a folder", path.string())};
    std::ifstream file(path, std::ios::binary);
    if (!file) return Error{fmt::format("{}: cannot read it: {}", path.string(), std::strerror(errno))};
    return LineReader(path.string(), std::move(file));
  }
  // False at the end of the file.
  Result<bool> next(std::string& line) {
    line.clear();
    if (!file_.good()) return false;
    ++n_lines_;
    constexpr int kEnd = std::char_traits<char>::eof();
    std::streambuf& bytes = *file_.rdbuf();
    int c = bytes.sbumpc();
    if (c == kEnd) {
      file_.setstate(std::ios::eofbit);
      return false;
    }
    for (; c != kEnd && c != '\n'; c = bytes.sbumpc()) {
      if (line.size() == kMostRecordBytes)
        return Error{fmt::format("{}:{}: a line of more than {} MiB; wanted a record a line", name_, n_lines_,
                                 kMostRecordBytes >> 20)};
      line += static_cast<char>(c);
    }
    if (n_lines_ == 1 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
    return true;
  }
  size_t n_lines() const { return n_lines_; }
  const std::string& name() const { return name_; }

 private:
  LineReader(std::string name, std::ifstream file) : name_(std::move(name)), file_(std::move(file)) {}
  std::string name_;
  std::ifstream file_;
  size_t n_lines_ = 0;
};

// Counts good and broken records, and knows when there are too many of the latter.
class RecordCount {
 public:
  explicit RecordCount(std::string file) : file_(std::move(file)) {}
  void add(const Status& status, size_t line) {
    if (status.ok())
      ++report_.n_records;
    else
      report_.broken.push_back(fmt::format("{}:{}: {}", file_, line, status.error().message));
  }
  size_t n_good() const { return report_.n_records; }
  // A file of another kind need not be read to its end.
  bool is_hopeless() const {
    return report_.broken.size() > 100 && report_.broken.size() > report_.n_records;
  }
  Result<TaskDataReport> finish() && {
    const size_t n_broken = report_.broken.size(), n_read = report_.n_records + n_broken;
    if (n_read == 0) return Error{fmt::format("{}: it has no records", file_)};
    if (n_broken * 100 <= n_read) return std::move(report_);
    std::string named;
    for (size_t i = 0; i < std::min(n_broken, kMostNamed); ++i) named += (i ? "; " : "") + report_.broken[i];
    return Error{fmt::format("{}: {} of the first {} records are broken, more than 1%: {}{}", file_, n_broken,
                             n_read, named, n_broken > kMostNamed ? "; ..." : "")};
  }

 private:
  std::string file_;
  TaskDataReport report_;
};

// Splits one CSV record into `fields`; lines are added to it while a quoted field goes on.
class CsvRecord {
 public:
  // True when the record goes on in the next line.
  Result<bool> add_line(std::string_view line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    size_t at = 0;
    if (in_quotes_) {
      field_ += '\n';
      EDGELLM_ASSIGN_OR_RETURN(at, take_quoted(line, 0));
      if (in_quotes_) return true;
    } else {
      EDGELLM_ASSIGN_OR_RETURN(at, take_field(line, 0));
    }
    while (!in_quotes_ && at < line.size()) {
      EDGELLM_ASSIGN_OR_RETURN(at, take_field(line, at + 1));
    }
    return in_quotes_;
  }
  std::vector<std::string>& fields() { return fields_; }
  size_t n_open_bytes() const { return field_.size(); }

 private:
  // Both: reads from `at` and return where the comma after the field is, or the line's length.
  Result<size_t> take_field(std::string_view line, size_t at) {
    field_.clear();
    if (at < line.size() && line[at] == '"') {
      in_quotes_ = true;
      return take_quoted(line, at + 1);
    }
    const size_t end = std::min(line.find(',', at), line.size());
    const std::string_view field = line.substr(at, end - at);
    if (field.find('"') != field.npos)
      return Error{fmt::format("wanted quotes around the whole field, got '{}'", shown(field))};
    fields_.emplace_back(field);
    return end;
  }
  Result<size_t> take_quoted(std::string_view line, size_t at) {
    for (; at < line.size(); ++at) {
      if (line[at] != '"') {
        field_ += line[at];
      } else if (at + 1 < line.size() && line[at + 1] == '"') {
        field_ += line[at++];
      } else {
        in_quotes_ = false;
        fields_.push_back(field_);
        if (++at < line.size() && line[at] != ',')
          return Error{
              fmt::format("wanted a comma after a field in quotes, got '{}'", shown(line.substr(at)))};
        return at;
      }
    }
    return at;
  }

  std::vector<std::string> fields_;
  std::string field_;
  bool in_quotes_ = false;
};

}  // namespace

Result<TaskDataReport> read_json_lines(const std::filesystem::path& path, size_t n_most,
                                       const TakeRecord& take) {
  EDGELLM_ASSIGN_OR_RETURN(LineReader lines, LineReader::open(path));
  RecordCount count(lines.name());
  std::string line;
  while (count.n_good() < n_most && !count.is_hopeless()) {
    EDGELLM_ASSIGN_OR_RETURN(const bool has_line, lines.next(line));
    if (!has_line) break;
    if (is_blank(line)) continue;
    const auto record = nlohmann::json::parse(line, nullptr, false);
    count.add(record.is_object()
                  ? take(record, lines.n_lines())
                  : Status(Error{fmt::format("wanted a JSON object on one line, got '{}'", shown(line))}),
              lines.n_lines());
  }
  return std::move(count).finish();
}

Result<TaskDataReport> read_csv(const std::filesystem::path& path, size_t n_most, const TakeRecord& take) {
  EDGELLM_ASSIGN_OR_RETURN(LineReader lines, LineReader::open(path));
  RecordCount count(lines.name());
  std::string line;
  while (count.n_good() < n_most && !count.is_hopeless()) {
    EDGELLM_ASSIGN_OR_RETURN(bool has_line, lines.next(line));
    if (!has_line) break;
    if (is_blank(line)) continue;
    const size_t first_line = lines.n_lines();
    CsvRecord record;
    Result<bool> goes_on = record.add_line(line);
    while (goes_on.ok() && *goes_on) {
      if (record.n_open_bytes() > kMostRecordBytes)
        return Error{
            fmt::format("{}:{}: a field of more than {} MiB in quotes; is its closing quote missing?",
                        lines.name(), first_line, kMostRecordBytes >> 20)};
      EDGELLM_ASSIGN_OR_RETURN(has_line, lines.next(line));
      goes_on = has_line ? record.add_line(line)
                         : Result<bool>(Error{"wanted a closing quote, got the end of the file"});
    }
    const auto taken = [&]() -> Status {
      if (!goes_on.ok()) return goes_on.error();
      for (const std::string& field : record.fields())
        if (!is_utf8(field))
          return Error{fmt::format("wanted UTF-8, got other bytes in the field '{}'", shown(field))};
      return take(nlohmann::json(record.fields()), first_line);
    };
    count.add(taken(), first_line);
  }
  return std::move(count).finish();
}

}  // namespace edgellm
