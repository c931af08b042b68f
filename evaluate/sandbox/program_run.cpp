#include "evaluate/sandbox/program_run.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <optional>
#include <sched.h>
#include <set>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/temporary_folder.h"
#include "evaluate/sandbox/folder_removal.h"
#include "evaluate/sandbox/program_watch.h"
#include "evaluate/sandbox/sandbox_child.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSystemFolders[] = {"/usr",   "/bin",   "/sbin",   "/lib",
                                          "/lib32", "/lib64", "/libx32", "/etc/alternatives"};
constexpr const char* kDevices[] = {"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"};
constexpr const char* kLibraryCache = "/etc/ld.so.cache";

Error failure(std::string_view step, int error) {
  return Error{fmt::format("sandbox: {}: {}", step, std::strerror(error))};
}

class Descriptor {
 public:
  explicit Descriptor(int file = -1) : file_(file) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { reset(); }
  void reset(int file = -1) {
    if (file_ >= 0) close(file_);
    file_ = file;
  }
  int get() const { return file_; }

 private:
  int file_;
};

struct Pipe {
  Descriptor read_end, write_end;
  bool open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
    return fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
  }
};

// The plan of a child with the texts its pointers point to.
class ChildPlan {
 public:
  ChildPlan(const ProgramRun& run, std::string folder) : folder_(std::move(folder)) {
    const std::string& python = keep(run.python.program);
    plan.python = python.c_str();
    for (const std::string& word : {python, std::string("-I"), std::string("-B"), std::string("-X"),
                                    std::string("utf8"), folder_ + "/program.py"})
      arguments_.push_back(keep(word).data());
    for (const std::string& variable :
         {std::string("PATH=/usr/bin:/bin"), "HOME=" + folder_, "TMPDIR=" + folder_,
          std::string("LANG=C.UTF-8"), std::string("OPENBLAS_NUM_THREADS=1")})
      environment_.push_back(keep(variable).data());
    arguments_.push_back(nullptr);
    environment_.push_back(nullptr);
    plan.arguments = arguments_.data();
    plan.environment = environment_.data();
    plan.filter = {static_cast<unsigned short>(run.filter.size()), run.filter.data()};
    plan.parent = getpid();
    set_limits(run.request.limits);
  }
  ChildPlan(const ChildPlan&) = delete;
  ChildPlan& operator=(const ChildPlan&) = delete;

  void plan_root(const ProgramRun& run) {
    const SandboxLimits& limits = run.request.limits;
    for (const char* folder : kSystemFolders) add_system_folder(folder);
    add_file(RootStep::Kind::kBindFolder, kLibraryCache);
    for (const char* device : kDevices) add_file(RootStep::Kind::kBindDevice, device);
    add_folders("/tmp");
    plan.root.push_back({RootStep::Kind::kWritable, "/tmp",
                         keep(fmt::format("size={},nr_inodes=4096,mode=700,uid={},gid={}",
                                          limits.n_folder_bytes, kInsideUser, kInsideUser))
                             .c_str()});
    for (const std::string& folder : python_folders(run.python)) {
      add_folders(folder);
      plan.root.push_back({RootStep::Kind::kBindFolder, keep(folder).c_str(), keep(folder).c_str()});
    }
    plan.program_path = "/tmp/program.py";
    plan.program = run.request.program.data();
    plan.n_program_bytes = run.request.program.size();
    plan.n_processes = limits.n_processes;
  }

  void plan_landlock(const ProgramRun& run) {
    plan.folder = folder_.c_str();
    plan.allowed.push_back({folder_.c_str(), true});
    for (const char* folder : kSystemFolders) plan.allowed.push_back({folder, false});
    plan.allowed.push_back({kLibraryCache, false});
    for (const char* device : kDevices)
      plan.allowed.push_back({device, std::strcmp(device, "/dev/null") == 0});
    for (const std::string& folder : python_folders(run.python))
      plan.allowed.push_back({keep(folder).c_str(), false});
  }

  SandboxChildPlan plan = {};

 private:
  std::string& keep(std::string text) { return texts_.emplace_back(std::move(text)); }

  void set_limits(const SandboxLimits& limits) {
    const auto cpu_seconds = std::chrono::ceil<std::chrono::seconds>(limits.cpu_time).count() + 1;
    const std::pair<int, rlim_t> wanted[] = {{RLIMIT_CPU, static_cast<rlim_t>(cpu_seconds)},
                                             {RLIMIT_AS, limits.n_memory_bytes},
                                             {RLIMIT_FSIZE, limits.n_folder_bytes},
                                             {RLIMIT_NOFILE, 128},
                                             {RLIMIT_CORE, 0},
                                             {RLIMIT_MEMLOCK, 0},
                                             {RLIMIT_MSGQUEUE, 0}};
    for (const auto& [resource, most] : wanted) {
      rlimit now;
      if (getrlimit(static_cast<__rlimit_resource_t>(resource), &now) == 0)
        plan.limits.push_back({resource, std::min(most, now.rlim_max)});
    }
  }

  // `path` and those above it.
  void add_folders(const std::string& path) {
    for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
      const std::string part = path.substr(0, end);
      if (made_.insert(part).second)
        plan.root.push_back({RootStep::Kind::kFolder, keep(part).c_str(), nullptr});
      if (end == path.npos) return;
    }
  }
  void add_system_folder(const char* path) {
    std::error_code error;
    if (fs::is_symlink(path, error)) {
      plan.root.push_back(
          {RootStep::Kind::kSymlink, path, keep(fs::read_symlink(path, error).string()).c_str()});
    } else if (fs::is_directory(path, error)) {
      add_folders(path);
      plan.root.push_back({RootStep::Kind::kBindFolder, path, path});
    }
  }
  void add_file(RootStep::Kind kind, const char* path) {
    std::error_code error;
    if (!fs::exists(path, error)) return;
    add_folders(fs::path(path).parent_path());
    plan.root.push_back({RootStep::Kind::kFile, path, nullptr});
    plan.root.push_back({kind, path, path});
  }

  // Those of the installation that the system's folders do not hold, outer ones first.
  static std::vector<std::string> python_folders(const PythonInterpreter& python) {
    std::vector<std::string> found, wanted = python.folders;
    std::sort(wanted.begin(), wanted.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
    const auto is_inside = [](const std::string& path, const std::string& folder) {
      return path == folder || path.starts_with(folder + "/");
    };
    for (const std::string& folder : wanted) {
      const auto holds_it = [&](const auto& other) { return is_inside(folder, other); };
      const bool is_wide = folder == "/" || folder == "/tmp";
      if (!is_wide && std::none_of(found.begin(), found.end(), holds_it) &&
          std::none_of(std::begin(kSystemFolders), std::end(kSystemFolders), holds_it))
        found.push_back(folder);
    }
    return found;
  }

  std::string folder_;
  std::deque<std::string> texts_;
  std::vector<char*> arguments_, environment_;
  std::set<std::string> made_;
};

bool write_file(const std::string& path, std::string_view text) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (file.get() < 0) return false;
  while (!text.empty()) {
    const ssize_t n = write(file.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// Root's programs run as nobody, which needs both users in there; other users can map only themselves.
bool map_users(pid_t process) {
  const std::string folder = fmt::format("/proc/{}/", process);
  const auto map = [&](const char* file, unsigned id) {
    return (id == 0 && write_file(folder + file, fmt::format("0 0 1\n{0} {0} 1\n", kInsideUser))) ||
           write_file(folder + file, fmt::format("{} {} 1\n", kInsideUser, id));
  };
  // Without the privilege to map groups freely the kernel wants setgroups given up first.
  if (geteuid() != 0 && !write_file(folder + "setgroups", "deny")) return false;
  return map("uid_map", geteuid()) && map("gid_map", geteuid() == 0 ? 0 : getegid());
}

// A folder on disk that is gone afterwards, whatever a program made of it.
class DiskFolder {
 public:
  ~DiskFolder() {
    if (folder_) remove_folder(folder_->path());
  }
  Status create() {
    EDGELLM_ASSIGN_OR_RETURN(folder_, TemporaryFolder::create("sandbox"));
    return {};
  }
  const std::string& path() const { return folder_->path().native(); }

 private:
  std::optional<TemporaryFolder> folder_;
};

}  // namespace

Result<SandboxOutcome> run_program(const ProgramRun& run) {
  const bool in_namespaces = run.guard == Sandbox::Guard::kNamespaces;
  DiskFolder folder;
  if (!in_namespaces) {
    EDGELLM_RETURN_IF_ERROR(folder.create());
    if (!write_file(folder.path() + "/program.py", run.request.program))
      return failure("writing the program's file", errno);
  }
  ChildPlan child(run, in_namespaces ? "/tmp" : folder.path());
  if (in_namespaces)
    child.plan_root(run);
  else
    child.plan_landlock(run);

  Pipe output, report;
  int go[2];
  const Descriptor null_file(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!output.open() || !report.open() || null_file.get() < 0 ||
      socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go) != 0)
    return failure("opening pipes", errno);
  Descriptor go_child(go[0]), go_parent(go[1]);
  child.plan.null_file = null_file.get();
  child.plan.output = output.write_end.get();
  child.plan.report = report.write_end.get();
  child.plan.go = go_child.get();
  child.plan.go_parent_end = go_parent.get();

  const unsigned long namespaces =
      in_namespaces ? CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
                    : 0;
  int process_file = -1;
  // Not fork: its handlers may wait for locks that other threads hold.
  const auto process = static_cast<pid_t>(
      syscall(SYS_clone, namespaces | CLONE_PIDFD | SIGCHLD, nullptr, &process_file, nullptr, nullptr));
  // The kernel's word for the limit is that of a full disk.
  if (process < 0 && in_namespaces && errno == ENOSPC)
    return Error{"sandbox: creating namespaces: none are left (user.max_user_namespaces)"};
  if (process < 0) return failure(in_namespaces ? "creating namespaces" : "creating a process", errno);
  if (process == 0) {
    if (in_namespaces) run_in_namespaces(child.plan);
    run_confined(child.plan);
  }
  const Descriptor pidfd(process_file);
  output.write_end.reset();
  report.write_end.reset();
  go_child.reset();
  if (in_namespaces) {
    const bool mapped = map_users(process);
    const int error = errno;
    if (!mapped || send(go_parent.get(), "", 1, MSG_NOSIGNAL) != 1) {
      kill(process, SIGKILL);
      while (waitpid(process, nullptr, __WALL) < 0 && errno == EINTR) {
      }
      return failure("mapping user IDs", error);
    }
  }
  return watch_program(
      {run.guard, process, pidfd.get(), output.read_end.get(), report.read_end.get(), folder.path()},
      run.request.limits);
}

}  // namespace edgellm
