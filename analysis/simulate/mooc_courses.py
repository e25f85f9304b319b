"""The course catalogue of the synthetic MOOC platform, and what is planted in it.

Attributes of `COURSES`, one row a course: `course_id`, `title`, `category`, `price` (US dollars, 0
is free), `popularity` (relative chance to be bought among the paid courses, or to be taken among
the free ones) and `median_days` (median time from enrolment to completion of those who complete,
before the factor of the referral channel).
"""

import pandas as pd

COURSES = pd.DataFrame(
    [
        ("C001", "Spreadsheet Fundamentals", "Data & Analytics", 19.99, 5.0, 12),
        ("C002", "SQL from Scratch", "Data & Analytics", 49.99, 5.8, 24),
        ("C003", "Dashboards That Get Read", "Data & Analytics", 59.99, 3.2, 26),
        ("C004", "Statistics for Decision Makers", "Data & Analytics", 79.99, 2.8, 38),
        ("C005", "Analytics Engineering in Practice", "Data & Analytics", 149.99, 1.3, 55),
        ("C006", "What Data Can Tell You", "Data & Analytics", 0, 3.0, 8),
        ("C007", "Python for Beginners", "Programming", 39.99, 6.5, 28),
        ("C008", "Python beyond the Basics", "Programming", 89.99, 2.6, 42),
        ("C009", "Web Pages with HTML and CSS", "Programming", 29.99, 3.4, 20),
        ("C010", "JavaScript Step by Step", "Programming", 49.99, 3.2, 32),
        ("C011", "Version Control for Teams", "Programming", 24.99, 2.2, 10),
        ("C012", "Full-Stack Developer Programme", "Programming", 399, 0.9, 110),
        ("C013", "Your First Lines of Code", "Programming", 0, 4.0, 6),
        ("C014", "Machine Learning Foundations", "Artificial Intelligence", 99.99, 3.0, 48),
        ("C015", "Deep Learning in Practice", "Artificial Intelligence", 179.99, 1.3, 66),
        ("C016", "Working with Language Models", "Artificial Intelligence", 34.99, 3.8, 9),
        ("C017", "Models in Production", "Artificial Intelligence", 199.99, 0.7, 60),
        ("C018", "Responsible AI", "Artificial Intelligence", 44.99, 0.3, 18),
        ("C019", "AI for Everyone at Work", "Artificial Intelligence", 0, 4.5, 7),
        ("C020", "Project Management Essentials", "Business & Management", 59.99, 3.4, 25),
        ("C021", "Agile Teams with Scrum", "Business & Management", 69.99, 2.2, 21),
        ("C022", "Leading a Small Team", "Business & Management", 79.99, 1.6, 28),
        ("C023", "Negotiation", "Business & Management", 54.99, 1.2, 16),
        ("C024", "Business Analyst Programme", "Business & Management", 299, 0.9, 90),
        ("C025", "Starting a Business", "Business & Management", 0, 2.0, 12),
        ("C026", "Digital Marketing Foundations", "Marketing", 39.99, 3.0, 20),
        ("C027", "Search Engine Optimisation", "Marketing", 64.99, 1.7, 24),
        ("C028", "Content for Social Media", "Marketing", 34.99, 1.9, 15),
        ("C029", "Email That Converts", "Marketing", 44.99, 1.0, 12),
        ("C030", "Brand Strategy", "Marketing", 119.99, 0.6, 36),
        ("C031", "Graphic Design Basics", "Design", 29.99, 2.2, 19),
        ("C032", "User Experience Foundations", "Design", 59.99, 2.2, 27),
        ("C033", "User Interface Design", "Design", 99.99, 1.5, 40),
        ("C034", "Motion Graphics", "Design", 109.99, 0.3, 45),
        ("C035", "Seeing Like a Designer", "Design", 0, 1.5, 9),
        ("C036", "Accounting Fundamentals", "Finance", 49.99, 2.4, 30),
        ("C037", "Financial Modelling", "Finance", 129.99, 1.5, 46),
        ("C038", "Personal Finance", "Finance", 24.99, 2.0, 11),
        ("C039", "Company Valuation", "Finance", 159.99, 0.6, 52),
        ("C040", "Investing for the Long Run", "Finance", 69.99, 1.3, 22),
        ("C041", "Business English", "Languages", 44.99, 2.6, 40),
        ("C042", "Spanish for Beginners", "Languages", 39.99, 1.7, 45),
        ("C043", "German at Work", "Languages", 64.99, 0.8, 60),
        ("C044", "Academic Writing in English", "Languages", 54.99, 1.1, 35),
        ("C045", "Learning How to Learn", "Personal Development", 0, 3.5, 10),
        ("C046", "Public Speaking", "Personal Development", 34.99, 1.6, 17),
        ("C047", "Time Management", "Personal Development", 14.99, 2.2, 7),
        ("C048", "Critical Thinking", "Personal Development", 29.99, 1.1, 20),
        ("C049", "Mindfulness at Work", "Health & Well-being", 19.99, 0.8, 8),
        ("C050", "Sleep and Recovery", "Health & Well-being", 17.99, 0.25, 7),
    ],
    columns=["course_id", "title", "category", "price", "popularity", "median_days"],
)

# An order with any course of the set takes all of it with this probability. The sets don't overlap.
BUNDLES = {
    ("C002", "C003"): 0.20,
    ("C007", "C011"): 0.18,
    ("C009", "C010"): 0.28,
    ("C004", "C014"): 0.20,
    ("C020", "C021"): 0.25,
    ("C026", "C028"): 0.22,
    ("C032", "C033"): 0.25,
    ("C001", "C036"): 0.15,
    ("C041", "C044"): 0.20,
    ("C038", "C040"): 0.25,
    ("C016", "C029"): 0.15,
    ("C022", "C046", "C047"): 0.15,
}

# Who has bought the first course buys the second later, with this probability a suitable order.
LADDERS = {
    ("C007", "C008"): 0.60,
    ("C002", "C005"): 0.55,
    ("C014", "C015"): 0.60,
    ("C016", "C014"): 0.40,
    ("C020", "C024"): 0.55,
    ("C036", "C037"): 0.60,
    ("C037", "C039"): 0.55,
    ("C026", "C027"): 0.60,
    ("C031", "C033"): 0.55,
}
