{#-
  Log-spaced bins as in DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile
  sketch with relative-error guarantees", VLDB 2019, section 2.1): with gamma = (1+a)/(1-a), bin i
  holds (gamma^(i-1), gamma^i], and 2*gamma^i/(gamma+1) is within the relative error a of all it
  holds. Counts of bins add up, so days are made of hours. a = 0.01: half of the
  2 % that we promise, the rest is for the choice between two neighbouring calls at a rank.
-#}
{% macro gamma() -%}
    {{ (1 + 0.01) / (1 - 0.01) }}
{%- endmacro %}

{#- Durations of a microsecond and less share the lowest bin: zero has no logarithm. -#}
{% macro bin_index(seconds) -%}
    ceil(ln(greatest({{ seconds }}, 1e-6)) / ln({{ gamma() }}::double precision))::integer
{%- endmacro %}

{% macro bin_seconds(index) -%}
    2 * {{ gamma() }}::double precision ^ {{ index }} / ({{ gamma() }} + 1)
{%- endmacro %}

{#-
  The quantile of a group of bins: the value of the first bin up to which at least the wanted
  share of the calls lies. Needs columns bin_seconds, rank_count (calls up to and with the bin)
  and group_count.
-#}
{% macro quantile(metric, ratio) -%}
    min(bin_seconds) filter (
        where metric = '{{ metric }}' and rank_count >= {{ ratio }} * group_count
    )
{%- endmacro %}
