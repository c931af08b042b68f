#include "apps/report/svg_plot.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>

#include "apps/report/escape.h"
#include "plan/pareto.h"

namespace edgellm {
namespace {

constexpr double kWidth = 480, kHeight = 300, kLeft = 62, kRight = 32, kTop = 14, kBottom = 46;
constexpr size_t kColours = 6;

struct Axis {
  double low, high, step;
  static Axis around(double least, double most) {
    // Steps stay large beside the values, or adding one would change nothing.
    double largest = std::clamp(std::max(std::abs(least), std::abs(most)), 1e-9, 1e200);
    if (least == 0 && most == 0) largest = 1;
    double range = most > least ? std::max(most - least, 1e-6 * largest) : 0.2 * largest;
    double rough = range / 4, power = std::pow(10, std::floor(std::log10(rough)));
    double step = power;
    for (double factor : {2.0, 2.5, 5.0, 10.0})
      if (step < rough) step = factor * power;
    double low = std::floor((least - 0.06 * range) / step) * step;
    if (least >= 0) low = std::max(low, 0.0);
    return {low, std::ceil((most + 0.06 * range) / step) * step, step};
  }
  int n_ticks() const { return int(std::min(20.0, std::round((high - low) / step))) + 1; }
  double tick(int i) const { return low + i * step; }
  double share(double value) const { return (value - low) / (high - low); }
};

std::string tick_text(const Column& column, double value) {
  if (column.shown == Shown::bytes) return bytes_text(value);
  if (column.shown == Shown::percent) return fmt::format("{:.4g}%", 100 * value);
  return fmt::format("{:.4g}", value);
}

std::string begin_svg(double width, double height, const std::string& title) {
  return fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"group\" aria-label=\"{}\">\n", width, height,
                     html_escape(title));
}

double x_at(const Axis& axis, double value) {
  return kLeft + axis.share(value) * (kWidth - kLeft - kRight);
}
double y_at(const Axis& axis, double value) {
  return kHeight - kBottom - axis.share(value) * (kHeight - kTop - kBottom);
}

void add_axes(const ScatterPlot& plot, const Axis& x, const Axis& y, std::string& svg) {
  for (int i = 0; i < x.n_ticks(); ++i) {
    double v = x.tick(i);
    svg += fmt::format(
        "<path class=grid d=\"M{0:.1f} {1}V{2}\"/><text class=tick x=\"{0:.1f}\" y=\"{3}\" "
        "text-anchor=middle>{4}</text>\n",
        x_at(x, v), kTop, kHeight - kBottom, kHeight - kBottom + 15, html_escape(tick_text(plot.x, v)));
  }
  for (int i = 0; i < y.n_ticks(); ++i) {
    double v = y.tick(i);
    svg += fmt::format(
        "<path class=grid d=\"M{0} {1:.1f}H{2}\"/><text class=tick x=\"{3}\" y=\"{4:.1f}\" "
        "text-anchor=end>{5}</text>\n",
        kLeft, y_at(y, v), kWidth - kRight, kLeft - 6, y_at(y, v) + 4, html_escape(tick_text(plot.y, v)));
  }
  svg += fmt::format("<text class=axis x=\"{}\" y=\"{}\" text-anchor=middle>{}</text>\n",
                     (kLeft + kWidth - kRight) / 2, kHeight - 8, html_escape(plot.x_title));
  svg += fmt::format(
      "<text class=axis transform=\"translate(13 {}) rotate(-90)\" text-anchor=middle>{}</text>\n",
      (kTop + kHeight - kBottom) / 2, html_escape(plot.y_title));
}

// Shapes differ as well as colours, for print and for eyes that tell colours apart badly.
std::string mark(size_t series, double x, double y) {
  switch (series % 4) {
    case 0:
      return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=5 />", x, y);
    case 1:
      return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=9 height=9 />", x - 4.5, y - 4.5);
    case 2:
      return fmt::format("<path d=\"M{:.1f} {:.1f}l6 10h-12z\"/>", x, y - 6);
    default:
      return fmt::format("<path d=\"M{:.1f} {:.1f}l6 6l-6 6l-6-6z\"/>", x, y - 6);
  }
}

}  // namespace

std::string scatter_svg(const ScatterPlot& plot) {
  auto [x0, x1] = std::minmax_element(plot.points.begin(), plot.points.end(),
                                      [](const PlotPoint& a, const PlotPoint& b) { return a.x < b.x; });
  auto [y0, y1] = std::minmax_element(plot.points.begin(), plot.points.end(),
                                      [](const PlotPoint& a, const PlotPoint& b) { return a.y < b.y; });
  Axis x = Axis::around(x0->x, x1->x), y = Axis::around(y0->y, y1->y);
  std::string svg = begin_svg(kWidth, kHeight, plot.title);
  add_axes(plot, x, y, svg);

  std::map<std::string, size_t> series;
  for (const PlotPoint& p : plot.points) series.emplace(p.series, series.size());
  std::map<std::string, std::vector<const PlotPoint*>> rivals;
  for (const PlotPoint& p : plot.points) rivals[plot.front_by_series ? p.series : ""].push_back(&p);
  for (const auto& [name, points] : rivals) {
    std::vector<TradeOff> trades;
    for (const PlotPoint* p : points) trades.push_back({p->x, plot.y.better == Better::less ? p->y : -p->y});
    std::string line;
    for (size_t i : pareto_front(trades))
      line += fmt::format("{}{:.1f} {:.1f}", line.empty() ? "M" : "L", x_at(x, points[i]->x),
                          y_at(y, points[i]->y));
    svg += fmt::format("<path class=\"front{}\" d=\"{}\"/>\n",
                       plot.front_by_series ? fmt::format(" s{}", series[name] % kColours) : "", line);
  }
  bool first = true;
  for (const PlotPoint& p : plot.points) {
    std::string said = html_escape(p.label);
    svg +=
        fmt::format("<g class=\"point s{}\" tabindex={} role=img aria-label=\"{}\"><title>{}</title>{}</g>\n",
                    series[p.series] % kColours, first ? 0 : -1, said, said,
                    mark(series[p.series], x_at(x, p.x), y_at(y, p.y)));
    first = false;
  }
  svg += "</svg>\n<p class=legend>";
  std::vector<std::string> names(series.size());
  for (const auto& [name, number] : series) names[number] = name;
  for (size_t i = 0; i < std::min<size_t>(names.size(), 12); ++i)
    svg +=
        fmt::format("<span><svg viewBox=\"0 0 14 14\" class=\"key s{}\" aria-hidden=true>{}</svg>{}</span> ",
                    i % kColours, mark(i, 7, 7), html_escape(names[i]));
  if (names.size() > 12) svg += fmt::format("<span>and {} more</span>", names.size() - 12);
  return svg + "</p>\n";
}

std::string heat_map_svg(const HeatMap& map) {
  constexpr double kCell = 18, kNames = 118;
  double width = kNames + kCell * double(map.columns.size()) + 6,
         height = kCell * double(map.rows.size()) + 24;
  double least = 1e300, most = -1e300;
  for (const auto& row : map.values)
    for (const auto& value : row)
      if (value) {
        least = std::min(least, *value);
        most = std::max(most, *value);
      }
  std::string svg = fmt::format(
      "<svg class=heat style=\"min-width:{:.0f}px\" viewBox=\"0 0 {} {}\" role=group "
      "aria-label=\"{}\">\n",
      std::min(width, 900.0), width, height, html_escape(map.title));
  bool first = true;
  for (size_t r = 0; r < map.rows.size(); ++r) {
    svg += fmt::format("<text class=tick x=\"{}\" y=\"{}\" text-anchor=end>{}</text>\n", kNames - 5,
                       kCell * double(r) + 13, html_escape(map.rows[r]));
    for (size_t c = 0; c < map.columns.size(); ++c) {
      const auto& value = map.values[r][c];
      double share = value && most > least ? (*value - least) / (most - least) : 0.5;
      std::string said = html_escape(map.labels[r][c]);
      double x = kNames + kCell * double(c), y = kCell * double(r);
      svg += fmt::format(
          "<g class=point tabindex={} role=img aria-label=\"{}\"><title>{}</title><rect class={} x=\"{}\" "
          "y=\"{}\" width=17 height=17 style=\"--share:{:.0f}%\"/>",
          first ? 0 : -1, said, said, value ? "cell" : "none", x, y, 100 * share);
      if (value)
        svg += fmt::format("<text class=\"{}\" x=\"{}\" y=\"{}\" text-anchor=middle>{:.2g}</text>",
                           share > 0.5 ? "on dark" : "on", x + 8.5, y + 12, *value);
      svg += "</g>\n";
      first = false;
    }
  }
  size_t every = map.columns.size() > 40 ? 8 : 2;
  for (size_t c = 0; c < map.columns.size(); ++c)
    if (c % every == 0)
      svg += fmt::format("<text class=tick x=\"{}\" y=\"{}\" text-anchor=middle>{}</text>\n",
                         kNames + kCell * double(c) + 8.5, height - 9, html_escape(map.columns[c]));
  return svg + "</svg>\n";
}

std::string bars_svg(const std::string& title, const std::vector<std::string>& names,
                     const std::vector<double>& values, const std::string& x_title) {
  constexpr double kBarsHeight = 170;
  double most = std::max(1e-12, *std::max_element(values.begin(), values.end()));
  Axis axis = Axis::around(0, most);
  double width = (kWidth - kLeft - kRight) / double(values.size()), floor = kBarsHeight - 38;
  std::string svg = begin_svg(kWidth, kBarsHeight, title);
  for (int i = 0; i < axis.n_ticks(); ++i) {
    double v = axis.tick(i);
    double y = floor - axis.share(v) * (floor - 10);
    svg += fmt::format(
        "<path class=grid d=\"M{} {:.1f}H{}\"/><text class=tick x=\"{}\" y=\"{:.1f}\" "
        "text-anchor=end>{:.3g}</text>\n",
        kLeft, y, kWidth - kRight, kLeft - 6, y + 4, v);
  }
  size_t every = std::max<size_t>(1, (values.size() + 13) / 14);
  for (size_t i = 0; i < values.size(); ++i) {
    double top = std::max(0.0, axis.share(std::max(values[i], 0.0))) * (floor - 10),
           x = kLeft + width * double(i);
    std::string said =
        html_escape(fmt::format("{} {}: {}", x_title, names[i], significant_text(values[i], 3)));
    svg += fmt::format(
        "<g class=\"point s0\" tabindex={} role=img aria-label=\"{}\"><title>{}</title><rect "
        "x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/></g>\n",
        i ? -1 : 0, said, said, x + 1, floor - top, std::max(1.0, width - 2), top);
    if (i % every == 0)
      svg += fmt::format("<text class=tick x=\"{:.1f}\" y=\"{}\" text-anchor=middle>{}</text>\n",
                         x + width / 2, floor + 15, html_escape(names[i]));
  }
  svg += fmt::format("<text class=axis x=\"{}\" y=\"{}\" text-anchor=middle>{}</text>\n", kWidth / 2,
                     kBarsHeight - 6, html_escape(x_title));
  return svg + "</svg>\n";
}

}  // namespace edgellm
