-- What the nights have found: tickets, share that needs a human and cost, by day and category.
SELECT
    dt,
    category,
    count(*) AS tickets,
    round(100.0 * avg(CASE WHEN needs_human THEN 1 ELSE 0 END), 1) AS needs_human_percent,
    round(avg(urgency), 2) AS urgency,
    round(sum(_cost_usd), 4) AS cost_usd
FROM ticket_triage
WHERE _status = 'answered'
GROUP BY dt, category
ORDER BY dt, tickets DESC, category;
